/** DELETE — RFC 9051 §6.3.5. */
import { deleteMailbox } from '@postbus/contracts'

import { afterLogin } from '../command.ts'
import { no, refusing } from '../reply.ts'
import { mailboxArgument } from '../session/mailbox-argument.ts'

export const remove = afterLogin({
  name: 'DELETE',
  parse: (args) => mailboxArgument(args.space()),
  run: async ({ session, account }, name) => {
    const { mailbox } = await refusing(
      account.ask(deleteMailbox, (token) => ({ token, name })),
      { invalid: () => no('CANNOT', 'This mailbox cannot be deleted') },
    )
    const { state } = session
    if (state.kind === 'selected' && state.selected.mailbox === mailbox) {
      session.unselect()
      session.out.line('* OK [CLOSED] The selected mailbox was deleted')
    }
    return { text: 'DELETE completed' }
  },
})
