/** PLAIN — RFC 4616 §2: authorization identity NUL authentication identity NUL password. */
import { malformed, requireSelf, utf8Of, type Mechanism } from './exchange.ts'

const NONE = new Uint8Array(0)

export const plain: Mechanism = async ({ initial, verifier, challenge }) => {
  const response = utf8Of(initial ?? (await challenge(NONE)))
  const [authorization = '', username, password, ...more] = response.split('\0')
  if (!username || password === undefined || more.length > 0) throw malformed('PLAIN')
  const verdict = await verifier.password({ username, password })
  if (verdict.kind === 'accepted') requireSelf(authorization, username)
  return verdict
}
