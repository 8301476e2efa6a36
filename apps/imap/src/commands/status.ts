/** STATUS — RFC 9051 §6.3.11, RFC 8438, RFC 7162 §3.1.7, RFC 7889 §3.2, RFC 8474 §4.3. */
import { mailboxStatus, type MailboxInfo } from '@postbus/contracts'
import { encodeMailbox, parseStatusItems, type StatusItem } from '@postbus/imap-wire'

import { afterLogin } from '../command.ts'
import { refusing } from '../reply.ts'
import { enableCondstore } from '../session/condstore.ts'
import { mailboxArgument } from '../session/mailbox-argument.ts'
import type { Session } from '../session/session.ts'
import { STORAGE_UNIT } from './quota.ts'

export const status = afterLogin({
  name: 'STATUS',
  parse: (args) => ({ name: mailboxArgument(args.space()), items: parseStatusItems(args.space()) }),
  run: async ({ session, account }, { name, items }) => {
    const deletedSize = items.includes('DELETED-STORAGE')
    const info = await refusing(account.ask(mailboxStatus, (token) => ({ token, name, deletedSize })))
    session.out.line(statusResponse(session, info, items))
    const { state } = session
    // RFC 9051 §6.3.11, RFC 5530 §3: it is for other mailboxes.
    if (state.kind === 'selected' && state.selected.mailbox === info.mailbox)
      return { code: 'CLIENTBUG', text: 'STATUS on selected mailbox completed' }
    return { text: 'STATUS completed' }
  },
})

/** Makes the client one that knows of mod-sequences when it asks for one — RFC 7162 §3.1. */
export function statusResponse(session: Session, info: MailboxInfo, items: readonly StatusItem[]): string {
  const { enabled, limits, state } = session
  const own = state.kind === 'selected' && state.selected.mailbox === info.mailbox ? state.selected : undefined
  if (items.includes('HIGHESTMODSEQ')) enableCondstore(session)
  const values: Record<StatusItem, number | string> = {
    MESSAGES: info.messages,
    // Of this session, and of nobody yet — RFC 3501 §6.3.10.
    RECENT: info.recent + (own?.recent.size ?? 0),
    UIDNEXT: info.uidNext,
    UIDVALIDITY: info.uidValidity,
    UNSEEN: info.unseen,
    DELETED: info.deleted,
    SIZE: info.size,
    HIGHESTMODSEQ: info.highestModseq,
    APPENDLIMIT: limits.maxAppendBytes,
    MAILBOXID: `(${info.mailboxId})`,
    'DELETED-STORAGE': Math.ceil((info.deletedSize ?? 0) / STORAGE_UNIT), // RFC 9208 §4.1.4
  }
  return `* STATUS ${encodeMailbox(info.name, enabled)} (${items.map((item) => `${item} ${values[item]}`).join(' ')})`
}
