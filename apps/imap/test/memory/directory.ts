/** A directory in memory, for tests: accounts with passwords, tokens that can be revoked. */
import { RequestRefused } from '@postbus/bus'
import { authenticate, renewToken } from '@postbus/contracts'

import type { MemoryBus } from './bus.ts'

export class MemoryDirectory {
  readonly passwords = new Map<string, string>()
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
      return {
        kind: 'accepted' as const,
        account: accountOf(username),
        address: username,
        ...this.#grant(accountOf(username)),
      }
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

  #grant(account: string) {
    return { token: `${account}.${++this.#serial}`, tokenExpiresInMs: this.tokenExpiresInMs }
  }
}

/** `ann@example.test` → `annexampletest`. */
export function accountOf(username: string): string {
  return username.toLowerCase().replace(/[^a-z0-9]/g, '')
}
