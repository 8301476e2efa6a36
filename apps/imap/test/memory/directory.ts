/** A directory in memory, for tests: accounts with passwords and access tokens, session tokens that can be revoked. */
import { RequestRefused } from '@postbus/bus'
import { authenticate, authenticateBearer, renewToken, scramFinish, scramStart } from '@postbus/contracts'
import { scramKeysOf, scramServerFirst, verifyScramProof } from '@postbus/sasl'

import type { MemoryBus } from './bus.ts'

const SALT = Buffer.from('W22ZaJ0SNY7soEsUEjb6gQ==', 'base64')
const ITERATIONS = 4096
/** Always the same, so that conversations can be written down: those of RFC 7677 §3. */
const NONCE = '%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0'

export class MemoryDirectory {
  readonly passwords = new Map<string, string>()
  /** Access tokens of the issuer, and whose they are. */
  readonly bearers = new Map<string, string>()
  /** From now on renewal is refused. */
  readonly disabled = new Set<string>()
  /** Tokens that have run out. */
  readonly expired = new Set<string>()
  throttled = false
  tokenExpiresInMs = 600_000
  #serial = 0

  async answer(bus: MemoryBus): Promise<void> {
    await bus.answer(authenticate, async ({ username, password }) => {
      if (this.throttled) return { kind: 'throttled' as const, retryAfterMs: 1000 }
      if (this.passwords.get(username) !== password) return { kind: 'refused' as const, delayMs: 1 }
      return this.#accepted(username)
    })
    await bus.answer(scramStart, async ({ username, clientNonce }) => {
      const serverFirst = scramServerFirst(clientNonce + NONCE, { salt: SALT, iterations: ITERATIONS })
      return { serverFirst, challenge: JSON.stringify({ username, serverFirst }) }
    })
    await bus.answer(scramFinish, async ({ challenge, clientFirstBare, clientFinalWithoutProof, proof }) => {
      if (this.throttled) return { kind: 'throttled' as const, retryAfterMs: 1000 }
      const { username, serverFirst } = JSON.parse(challenge)
      const keys = await scramKeysOf(this.passwords.get(username) ?? '', SALT, ITERATIONS)
      const messages = { clientFirstBare, serverFirst, clientFinalWithoutProof, proof: Buffer.from(proof, 'base64') }
      const signature = verifyScramProof(keys, messages)
      if (signature === null) return { kind: 'refused' as const, delayMs: 1 }
      return { ...this.#accepted(username), serverSignature: signature.toString('base64') }
    })
    await bus.answer(authenticateBearer, async ({ username, token }) => {
      if (token === 'expired') return { kind: 'refused' as const, delayMs: 1, expired: true as const }
      const bearer = this.bearers.get(token)
      if (bearer === undefined || (username !== '' && username !== bearer))
        return { kind: 'refused' as const, delayMs: 1 }
      return this.#accepted(bearer)
    })
    await bus.answer(renewToken, async ({ token }) => {
      const account = token.split('.')[0] ?? ''
      if (this.disabled.has(account)) throw new RequestRefused('tokenInvalid', 'disabled')
      return this.#grant(account)
    })
  }

  /** The account a token stands for. @throws RequestRefused */
  check(token: string): string {
    const account = token.split('.')[0] ?? ''
    if (this.expired.has(token)) throw new RequestRefused('tokenInvalid', 'expired')
    return account
  }

  #accepted(username: string) {
    const address = username.includes('@') ? username : `${username}@example.test`
    const account = accountOf(address)
    return { kind: 'accepted' as const, account, address, ...this.#grant(account) }
  }

  #grant(account: string) {
    return { token: `${account}.${++this.#serial}`, tokenExpiresInMs: this.tokenExpiresInMs }
  }
}

/** `ann@example.test` → `annexampletest`. */
export function accountOf(username: string): string {
  return username.toLowerCase().replace(/[^a-z0-9]/g, '')
}
