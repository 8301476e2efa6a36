/** ENABLE — RFC 9051 §6.3.1, RFC 5161. What is unknown is ignored, as RFC 5161 §3.1 asks. */
import { afterLogin } from '../command.ts'
import { enable as enableIn } from '../session/condstore.ts'
import { extensionNamed } from '../session/enabled.ts'

const MAX_NAMES = 50

export const enable = afterLogin({
  name: 'ENABLE',
  parse: (args) => {
    const names: string[] = []
    do names.push(args.space().atom('a capability'))
    while (!args.atEnd && names.length < MAX_NAMES)
    return names
  },
  run: async ({ session }, names) => {
    const extensions = new Set(names.flatMap((name) => extensionNamed(name) ?? []))
    for (const extension of extensions) enableIn(session, extension)
    session.out.line(['* ENABLED', ...extensions].join(' '))
    return { text: 'ENABLE completed' }
  },
})
