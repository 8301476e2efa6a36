/**
 * Logins that were right a moment ago, so that a client that opens ten connections pays for one. Keyed by an HMAC under a
 * key that never leaves the process, over the account, its credential version (a changed password is another entry, in every
 * process) and the password; nothing in it can be turned back into one.
 */
import { createHmac, randomBytes } from 'node:crypto'

import { BoundedMap } from './bounded-map.ts'

export interface LoginMemorySettings {
  /** 0 remembers nothing. */
  forMs: number
  maxEntries: number
}

export class LoginMemory {
  readonly #key = randomBytes(32)
  readonly #until: BoundedMap<string, number>
  readonly #forMs: number
  readonly #now: () => number

  constructor({ forMs, maxEntries }: LoginMemorySettings, now: () => number) {
    this.#until = new BoundedMap(maxEntries)
    this.#forMs = forMs
    this.#now = now
  }

  remember(account: string, credentialVersion: number, password: string): void {
    if (this.#forMs > 0) this.#until.set(this.#digest(account, credentialVersion, password), this.#now() + this.#forMs)
  }

  /** Not prolonged by use: a login is looked at again after `forMs` at the latest. */
  knows(account: string, credentialVersion: number, password: string): boolean {
    if (this.#forMs === 0) return false
    return (this.#until.get(this.#digest(account, credentialVersion, password)) ?? 0) > this.#now()
  }

  #digest(account: string, credentialVersion: number, password: string): string {
    return createHmac('sha256', this.#key).update(`${account} ${credentialVersion} ${password}`).digest('base64')
  }
}
