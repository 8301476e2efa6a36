/**
 * Session tokens: a signed, short-lived statement that the bearer may act for one account. They name the version of the
 * account's credentials, so that a changed password or a disabled account ends the renewing.
 *
 * STANDARDS  RFC 7519 (JWT), RFC 8037 (EdDSA)
 */
import { randomUUID } from 'node:crypto'

import {
  type CompactJWSHeaderParameters,
  errors,
  exportJWK,
  generateKeyPair,
  type JWK,
  type JWTPayload,
  jwtVerify,
  SignJWT,
} from 'jose'

import type { AccountRecord, SigningKey } from '../store.ts'

const ISSUER = 'postbus-directory'
const AUDIENCE = 'mailstore'
const ALGORITHM = 'EdDSA'
/** The version of the credentials. */
const VERSION_CLAIM = 'cv'
/** Clocks of two machines may differ by so much. */
const CLOCK_TOLERANCE_SECONDS = 5

export interface TokenPorts {
  signingKeys(): Promise<SigningKey[]>
  account(account: string): Promise<AccountRecord | undefined>
}

export interface IssuedToken {
  token: string
  tokenExpiresInMs: number
}

interface LoadedKey {
  kid: string
  privateKey: JWK
  publicKey: JWK & Record<string, unknown>
}

/** Signs with the newest key and verifies with all; asks for the keys again when it meets one it does not know. */
export class Tokens {
  readonly #ports: TokenPorts
  readonly #lifetimeMs: number
  #keys: readonly LoadedKey[] = []

  constructor(ports: TokenPorts, lifetimeMs: number) {
    this.#ports = ports
    this.#lifetimeMs = lifetimeMs
  }

  async loadKeys(): Promise<void> {
    const keys = await this.#ports.signingKeys()
    // jose imports a JWK object once; the ones it knows must stay the same objects.
    const known = new Map(this.#keys.map((key) => [key.kid, key]))
    this.#keys = keys.map((key) => known.get(key.kid) ?? loaded(key))
  }

  async publicKeys(): Promise<Record<string, unknown>[]> {
    await this.loadKeys()
    return this.#keys.map(({ publicKey }) => publicKey)
  }

  async issue({ account, credentialVersion }: AccountRecord): Promise<IssuedToken> {
    const token = await this.sign(AUDIENCE, account, { [VERSION_CLAIM]: credentialVersion }, this.#lifetimeMs)
    return { token, tokenExpiresInMs: this.#lifetimeMs }
  }

  /** A statement about `subject`; one for another audience says nothing. */
  async sign(audience: string, subject: string, claims: JWTPayload, lifetimeMs: number): Promise<string> {
    const [newest] = this.#keys
    if (newest === undefined) throw new Error('no signing key')
    return new SignJWT(claims)
      .setProtectedHeader({ alg: ALGORITHM, kid: newest.kid })
      .setIssuer(ISSUER)
      .setAudience(audience)
      .setSubject(subject)
      .setIssuedAt()
      .setExpirationTime(new Date(Date.now() + lifetimeMs))
      .sign(newest.privateKey)
  }

  /** A fresh token for the bearer of a good one; null where it is none, or its account may not any more. */
  async renew(token: string): Promise<IssuedToken | null> {
    const claims = await this.verify(token, AUDIENCE, [VERSION_CLAIM])
    if (claims === null) return null
    const account = await this.#ports.account(claims.sub ?? '')
    if (account === undefined || !account.enabled || account.credentialVersion !== claims[VERSION_CLAIM]) return null
    return this.issue(account)
  }

  /** What a statement of ours says, with these claims in it; null where it is none, has expired, or is for somebody else. */
  async verify(token: string, audience: string, claims: readonly string[]): Promise<JWTPayload | null> {
    const options = {
      issuer: ISSUER,
      audience,
      algorithms: [ALGORITHM],
      clockTolerance: CLOCK_TOLERANCE_SECONDS,
      requiredClaims: ['sub', 'exp', ...claims],
    }
    try {
      const { payload } = await jwtVerify(
        token,
        (header: CompactJWSHeaderParameters) => this.#keyOf(header.kid),
        options,
      )
      return payload
    } catch (error) {
      if (error instanceof errors.JOSEError) return null
      throw error
    }
  }

  async #keyOf(kid: string | undefined): Promise<JWK> {
    const find = () => this.#keys.find((key) => key.kid === kid)
    if (find() === undefined) await this.loadKeys() // another process may have made it
    const key = find()
    if (key === undefined) throw new errors.JWKSNoMatchingKey()
    return key.publicKey
  }
}

function loaded({ kid, privateKey, publicKey }: SigningKey): LoadedKey {
  return { kid, privateKey: JSON.parse(privateKey), publicKey: JSON.parse(publicKey) }
}

export async function newSigningKey(now: Date): Promise<SigningKey> {
  const { privateKey, publicKey } = await generateKeyPair(ALGORITHM, { extractable: true })
  const kid = randomUUID()
  const named = async (key: Parameters<typeof exportJWK>[0]) =>
    JSON.stringify({ ...(await exportJWK(key)), kid, alg: ALGORITHM, use: 'sig' })
  return { kid, privateKey: await named(privateKey), publicKey: await named(publicKey), createdAt: now.toISOString() }
}
