/**
 * Access tokens of an OAuth issuer, checked with its published keys (a JWK set over HTTP, kept for a while, asked for again when
 * a token names a key we do not know).
 *
 * STANDARDS  RFC 7517 §5, RFC 7519 §7.2, RFC 8725 §3 (asymmetric algorithms only, issuer and audience always)
 */
import { createRemoteJWKSet, errors, type JWTPayload, jwtVerify } from 'jose'

import type { VerifyBearer } from '../accounts/bearer.ts'

export interface IssuerSettings {
  issuer: string
  jwksUrl: string
  audience: string
  /** The claim that holds the account's address. */
  usernameClaim: string
}

const ALGORITHMS = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519']
const CLOCK_TOLERANCE_SECONDS = 5
const KEYS_KEPT_MS = 600_000
/** Tokens with unknown keys must not make us ask the issuer without end. */
const ASK_AGAIN_MS = 30_000
const ANSWER_WITHIN_MS = 5000

/** The keys cannot be had now. */
export class IssuerUnavailable extends Error {
  override readonly name = 'IssuerUnavailable'
}

export function bearerVerifier({ issuer, jwksUrl, audience, usernameClaim }: IssuerSettings): VerifyBearer {
  const keys = createRemoteJWKSet(new URL(jwksUrl), {
    cacheMaxAge: KEYS_KEPT_MS,
    cooldownDuration: ASK_AGAIN_MS,
    timeoutDuration: ANSWER_WITHIN_MS,
  })
  const rules = {
    issuer,
    audience,
    algorithms: ALGORITHMS,
    clockTolerance: CLOCK_TOLERANCE_SECONDS,
    requiredClaims: ['exp', usernameClaim],
  }
  return async (token) => {
    try {
      const { payload } = await jwtVerify(token, keys, rules)
      const address = addressIn(payload, usernameClaim)
      return address === null ? 'tokenInvalid' : { address }
    } catch (error) {
      // Looked at last, by jose, after signature, issuer and audience.
      if (error instanceof errors.JWTExpired) return 'tokenExpired'
      if (isOfToken(error)) return 'tokenInvalid'
      throw new IssuerUnavailable('The keys of the issuer cannot be had', { cause: error })
    }
  }
}

function addressIn(payload: JWTPayload, claim: string): string | null {
  const address = payload[claim]
  // OpenID Connect Core §5.1: anybody may write any address into an account whose address is not verified.
  if (claim === 'email' && payload.email_verified === false) return null
  return typeof address === 'string' ? address : null
}

/** Whether the fault is the token's, and not that of the way to the issuer. */
function isOfToken(error: unknown): boolean {
  return (
    error instanceof errors.JOSEError && !(error instanceof errors.JWKSTimeout) && error.code !== 'ERR_JOSE_GENERIC'
  )
}
