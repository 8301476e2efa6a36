/** What failed last, for readiness: until it works again, or was not tried for a while. */

/** Longer than whoever waits for it pauses between two tries. */
const HOLDS_MS = 60_000

export interface LastFailureOptions {
  /** A clock in milliseconds that never goes back. */
  now?(): number
  holdsMs?: number
}

export class LastFailure {
  readonly #what: string
  readonly #now: () => number
  readonly #holdsMs: number
  #failed: { text: string; at: number } | undefined

  /** @param holdsMs Infinity where somebody says for certain when it works again */
  constructor(what: string, { now = () => performance.now(), holdsMs = HOLDS_MS }: LastFailureOptions = {}) {
    this.#what = what
    this.#now = now
    this.#holdsMs = holdsMs
  }

  failed(error: unknown): void {
    this.#failed = { text: error instanceof Error ? error.message : String(error), at: this.#now() }
  }

  worked(): void {
    this.#failed = undefined
  }

  /** For `readiness`. */
  reason(): string | null {
    if (!this.#failed || this.#now() - this.#failed.at > this.#holdsMs) return null
    return `${this.#what}: ${this.#failed.text}`
  }
}
