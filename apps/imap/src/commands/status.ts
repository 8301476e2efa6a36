/** STATUS — RFC 9051 §6.3.11, RFC 8438. */
import { mailboxStatus, type MailboxInfo } from '@postbus/contracts'
import { encodeMailbox, parseStatusItems, type StatusItem } from '@postbus/imap-wire'

import { afterLogin } from '../command.ts'
import { refusing } from '../reply.ts'
import { mailboxArgument } from '../session/mailbox-argument.ts'
import { STORAGE_UNIT } from './quota.ts'

export const status = afterLogin({
  name: 'STATUS',
  parse: (args) => ({ name: mailboxArgument(args.space()), items: parseStatusItems(args.space()) }),
  run: async ({ session, account }, { name, items }) => {
    const deletedSize = items.includes('DELETED-STORAGE')
    const info = await refusing(account.ask(mailboxStatus, (token) => ({ token, name, deletedSize })))
    session.out.line(statusResponse(info, items))
    return { text: 'STATUS completed' }
  },
})

export function statusResponse(info: MailboxInfo, items: readonly StatusItem[]): string {
  const values: Record<StatusItem, number> = {
    MESSAGES: info.messages,
    RECENT: info.recent,
    UIDNEXT: info.uidNext,
    UIDVALIDITY: info.uidValidity,
    UNSEEN: info.unseen,
    DELETED: info.deleted,
    SIZE: info.size,
    'DELETED-STORAGE': Math.ceil((info.deletedSize ?? 0) / STORAGE_UNIT), // RFC 9208 §4.1.4
  }
  return `* STATUS ${encodeMailbox(info.name)} (${items.map((item) => `${item} ${values[item]}`).join(' ')})`
}
