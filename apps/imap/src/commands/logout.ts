/** LOGOUT — RFC 9051 §6.1.3. */
import { anyTime, nothing } from '../command.ts'

export const logout = anyTime({
  name: 'LOGOUT',
  updates: 'none',
  parse: nothing,
  run: async ({ session }) => {
    session.out.line('* BYE Logging out')
    session.unselect()
    session.state = { kind: 'logout' }
    return { text: 'LOGOUT completed' }
  },
})
