/** How many sessions each account has in this process. */
export class AccountSessions {
  readonly #max: number
  readonly #counts = new Map<string, number>()

  constructor(max: number) {
    this.#max = max
  }

  /** Null when there are too many; else call the answer once when the session is over. */
  admit(account: string): (() => void) | null {
    const count = this.#counts.get(account) ?? 0
    if (count >= this.#max) return null
    this.#counts.set(account, count + 1)
    return () => {
      const left = (this.#counts.get(account) ?? 1) - 1
      if (left > 0) this.#counts.set(account, left)
      else this.#counts.delete(account)
    }
  }
}
