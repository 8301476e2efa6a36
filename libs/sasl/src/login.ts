/** LOGIN, as draft-murchison-sasl-login-00 describes it: obsolete for ever, and all that some clients of submission speak. */
import { malformed, utf8Of, type Mechanism } from './exchange.ts'

export const login: Mechanism = async ({ initial, verifier, challenge }) => {
  const username = utf8Of(initial ?? (await challenge(Buffer.from('Username:'))))
  const password = utf8Of(await challenge(Buffer.from('Password:')))
  if (username === '') throw malformed('a name')
  return verifier.password({ username, password })
}
