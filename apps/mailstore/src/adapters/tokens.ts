/**
 * Session tokens: whose mailboxes a request may touch. Signed by the directory; nothing else in a request names the account.
 *
 * STANDARDS  RFC 7519 (JWT), RFC 8037 (EdDSA)
 */
import { type Bus, RequestRefused } from '@postbus/bus'
import { AccountId, tokenKeys } from '@postbus/contracts'
import { createLocalJWKSet, errors, type JSONWebKeySet, jwtVerify, type JWTVerifyGetKey } from 'jose'

const ISSUER = 'postbus-directory'
const AUDIENCE = 'mailstore'
/** Clocks of two machines. */
const CLOCK_TOLERANCE_S = 5
const MAX_REMEMBERED = 20_000
/** A token that names a key we do not know may be of a new key; a flood of forged ones must not become a flood of questions. */
const MIN_REFRESH_MS = 2000

export interface Tokens {
  /** @throws RequestRefused tokenInvalid @throws BusUnavailable the keys could not be had */
  accountOf(token: string): Promise<AccountId>
}

export function sessionTokens(
  bus: Pick<Bus, 'request'>,
  clock = Date.now,
  { minRefreshMs = MIN_REFRESH_MS } = {},
): Tokens {
  const verified = new Map<string, { account: AccountId; expiresAt: number }>()
  let keys: { keySet: JWTVerifyGetKey; at: number } | undefined
  let asking: Promise<JWTVerifyGetKey> | undefined

  async function ask(): Promise<JWTVerifyGetKey> {
    const answer = await bus.request(tokenKeys, {})
    // Each is checked by jose when it is used.
    const keySet = createLocalJWKSet({ keys: answer.keys } as unknown as JSONWebKeySet)
    keys = { keySet, at: performance.now() }
    return keySet
  }

  async function currentKeys(newerThan = -Infinity): Promise<JWTVerifyGetKey> {
    if (keys !== undefined && keys.at > newerThan) return keys.keySet
    asking ??= ask().finally(() => (asking = undefined))
    return asking
  }

  async function verify(token: string): Promise<{ account: AccountId; expiresAt: number }> {
    const options = {
      issuer: ISSUER,
      audience: AUDIENCE,
      algorithms: ['EdDSA', 'Ed25519'],
      clockTolerance: CLOCK_TOLERANCE_S,
      currentDate: new Date(clock()),
      requiredClaims: ['exp', 'sub'],
    }
    const known = await currentKeys()
    const result = await jwtVerify(token, known, options).catch(async (error: unknown) => {
      if (!(error instanceof errors.JWKSNoMatchingKey)) throw error
      return jwtVerify(token, await currentKeys(performance.now() - minRefreshMs), options)
    })
    const { sub, exp } = result.payload
    return { account: AccountId.parse(sub), expiresAt: ((exp ?? 0) + CLOCK_TOLERANCE_S) * 1000 }
  }

  return {
    async accountOf(token) {
      const known = verified.get(token)
      if (known !== undefined && known.expiresAt > clock()) return known.account
      verified.delete(token)
      try {
        const claims = await verify(token)
        if (verified.size >= MAX_REMEMBERED) verified.clear()
        verified.set(token, claims)
        return claims.account
      } catch (cause) {
        if (cause instanceof errors.JOSEError)
          throw new RequestRefused('tokenInvalid', 'The session token is not valid', { cause })
        throw cause
      }
    },
  }
}
