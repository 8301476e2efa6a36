/** RENAME — RFC 9051 §6.3.6. */
import { renameMailbox } from '@postbus/contracts'

import { afterLogin } from '../command.ts'
import { refusing } from '../reply.ts'
import { listResponse } from '../session/list-response.ts'
import { mailboxArgument, newMailboxArgument } from '../session/mailbox-argument.ts'

export const rename = afterLogin({
  name: 'RENAME',
  // Renaming INBOX moves its messages away, and it may be selected.
  updates: 'look',
  parse: (args) => ({ from: mailboxArgument(args.space()), to: newMailboxArgument(args.space()) }),
  run: async ({ session, account }, { from, to }) => {
    await refusing(account.ask(renameMailbox, (token) => ({ token, from, to })))
    const { state } = session
    // INBOX itself stays; its messages went — RFC 9051 §6.3.6.
    if (state.kind === 'selected' && from !== 'INBOX') state.selected.renamed(from, to)
    const { enabled, out } = session
    // RFC 9051 §6.3.6. INBOX still is what it was.
    if (enabled.has('IMAP4rev2') && from !== 'INBOX')
      out.line(listResponse(to.normalize('NFC'), { utf8: enabled.utf8, oldName: from }))
    return { text: 'RENAME completed' }
  },
})
