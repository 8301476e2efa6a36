/** NAMESPACE — RFC 2342: one personal namespace, nobody else's and nothing shared. */
import { SEPARATOR } from '@postbus/imap-wire'

import { afterLogin, nothing } from '../command.ts'

export const namespace = afterLogin({
  name: 'NAMESPACE',
  parse: nothing,
  run: async ({ session }) => {
    session.out.line(`* NAMESPACE (("" "${SEPARATOR}")) NIL NIL`)
    return { text: 'NAMESPACE completed' }
  },
})
