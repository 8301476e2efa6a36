/** ENABLE — RFC 5161. Nothing we offer needs to be enabled yet; what is unknown is ignored, as §3.1 asks. */
import { afterLogin } from '../command.ts'

const MAX_NAMES = 50

export const enable = afterLogin({
  name: 'ENABLE',
  parse: (args) => {
    let names = 0
    do args.space().atom('a capability')
    while (!args.atEnd && ++names < MAX_NAMES)
  },
  run: async ({ session }) => {
    session.out.line('* ENABLED')
    return { text: 'ENABLE completed' }
  },
})
