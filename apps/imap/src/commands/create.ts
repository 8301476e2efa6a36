/** CREATE, with special use — RFC 9051 §6.3.4, RFC 6154 §3, RFC 8474 §4.1. */
import { createMailbox } from '@postbus/contracts'
import { ImapSyntaxError, type Arguments } from '@postbus/imap-wire'

import { afterLogin } from '../command.ts'
import { no, refusing } from '../reply.ts'
import { listResponse } from '../session/list-response.ts'
import { newMailboxArgument } from '../session/mailbox-argument.ts'

const MAX_USES = 10

export const create = afterLogin({
  name: 'CREATE',
  parse: (args) => ({ name: newMailboxArgument(args.space()), specialUse: parseUses(args) }),
  run: async ({ session, account }, { name, specialUse }) => {
    // "invalid" may mean the use or the name; who asks for a use wants to know about that.
    const invalid = specialUse.length > 0 ? { invalid: () => no('USEATTR', 'Such a mailbox cannot be made') } : {}
    const info = await refusing(
      account.ask(createMailbox, (token) => ({ token, name, specialUse })),
      invalid,
    )
    const { enabled, out } = session
    // RFC 9051 §6.3.4: a name that is not stored as it was written.
    if (info.name !== name && enabled.has('IMAP4rev2'))
      out.line(listResponse(info.name, { utf8: enabled.utf8, oldName: name }))
    return { code: `MAILBOXID (${info.mailboxId})`, text: 'CREATE completed' }
  },
})

function parseUses(args: Arguments): string[] {
  if (args.atEnd) return []
  args.space().expect('(')
  if (args.keyword('USE') !== 'USE') throw new ImapSyntaxError('USE is the only parameter of CREATE')
  const uses = args.space().list(() => `\\${args.expect('\\').atom('a special use')}`, { empty: true, max: MAX_USES })
  args.expect(')')
  return uses
}
