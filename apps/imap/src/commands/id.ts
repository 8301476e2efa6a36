/** ID — RFC 2971. What a client says of itself goes into the log; nothing depends on it. */
import type { Arguments } from '@postbus/imap-wire'
import { ImapSyntaxError } from '@postbus/imap-wire'

import { anyTime } from '../command.ts'

/** RFC 2971 §3.3: at most 30 pairs. Its length limits (30 for names, 1024 for values) are cut to, not enforced. */
const MAX_STRINGS = 60
const MAX_LOGGED = 200

export const id = anyTime({
  name: 'ID',
  parse: (args) => parseParameters(args.space()),
  run: async ({ session }, parameters) => {
    session.clientId = parameters
    // No version: it would only help whoever looks for old ones.
    session.out.line('* ID ("name" "Postbus")')
    return { text: 'ID completed' }
  },
})

function parseParameters(args: Arguments): Record<string, string> {
  if (args.skipWord('NIL')) return {}
  const strings = args.list(() => args.nstring(), { empty: true, max: MAX_STRINGS })
  if (strings.length % 2 === 1) throw new ImapSyntaxError('ID needs a value for every name')
  const parameters: [string, string][] = []
  for (let at = 0; at < strings.length; at += 2) {
    const [name, value] = [strings[at], strings[at + 1]]
    if (name && value) parameters.push([name.slice(0, 30), value.slice(0, MAX_LOGGED)])
  }
  return Object.fromEntries(parameters)
}
