/** LOGIN — RFC 9051 §6.2.3. */
import { capabilityList } from '../capabilities.ts'
import { beforeLogin } from '../command.ts'
import { logInWith, requirePrivacy } from '../session/authentication.ts'

export const login = beforeLogin({
  name: 'LOGIN',
  // Before the client is asked to send its password as a literal.
  guard: requirePrivacy,
  parse: (args) => ({ username: args.space().astring('a user name'), password: args.space().astring('a password') }),
  run: async ({ session }, credentials) => {
    await logInWith(session, (verifier) => verifier.password(credentials))
    // Saves the client a round trip — RFC 9051 §7.1 (CAPABILITY).
    return { code: capabilityList(session.capabilities()), text: 'Logged in' }
  },
})
