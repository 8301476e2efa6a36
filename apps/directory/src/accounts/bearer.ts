/**
 * A login with an access token of the one issuer we trust. The token says who it is; a client that names somebody must name the
 * same. Wrong tokens count like wrong passwords.
 *
 * STANDARDS  RFC 6750, RFC 7628, RFC 9068 §4 (validation)
 */
import type { AccountRecord, Name } from '../store.ts'
import { attempted, type Login, type LoginCause, loginName, type LoginPorts, type LoginTools } from './log-in.ts'

/**
 * The address the token was given to, or why it is worth nothing: it is none of the issuer's or for another service, or its time
 * is over and nothing else is wrong with it.
 */
export type VerifyBearer = (token: string) => Promise<{ address: string } | 'tokenInvalid' | 'tokenExpired'>

export interface BearerClaim {
  /** '': whoever the token names. */
  username: string
  token: string
  clientAddress: string
}

/** @throws when the issuer's keys cannot be had */
export async function logInWithBearer(
  { username, token, clientAddress }: BearerClaim,
  ports: Pick<LoginPorts, 'domains' | 'accountNamed'>,
  { throttle, verify }: Pick<LoginTools, 'throttle'> & { verify: VerifyBearer },
): Promise<Login> {
  return attempted(username, clientAddress, ports, { throttle }, async (claimed) => {
    const bearer = await verify(token)
    if (typeof bearer === 'string') return bearer
    const name = await loginName(bearer.address, ports)
    if (name === null || (username !== '' && !same(claimed, name))) return 'tokenInvalid'
    return accountOf(name, ports)
  })
}

async function accountOf(name: Name, ports: Pick<LoginPorts, 'accountNamed'>): Promise<AccountRecord | LoginCause> {
  const account = await ports.accountNamed(name)
  if (account === undefined) return 'noSuchAccount'
  return account.enabled ? account : 'disabled'
}

const same = (claimed: Name | null, name: Name): boolean =>
  claimed?.domain === name.domain && claimed.localPart === name.localPart
