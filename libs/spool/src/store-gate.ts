/**
 * Whether a store that others run takes messages now. After some failures in a row it does not, and is asked again and again in the
 * background until it does: nobody's message has to fail to find out.
 */
const FAILURES = 3
const ASK_EVERY_MS = 1000

export class StoreGate {
  readonly #ask: () => Promise<unknown>
  #failures = 0
  #asking: NodeJS.Timeout | undefined
  #closed = false

  /** @param ask writes something of no importance; resolves when the store took it */
  constructor(ask: () => Promise<unknown>) {
    this.#ask = ask
  }

  get isOpen(): boolean {
    return this.#asking === undefined && !this.#closed
  }

  succeeded(): void {
    this.#failures = 0
    clearTimeout(this.#asking)
    this.#asking = undefined
  }

  failed(): void {
    if (++this.#failures >= FAILURES && this.#asking === undefined) this.#askLater()
  }

  /** For good. */
  close(): void {
    this.#closed = true
    clearTimeout(this.#asking)
  }

  #askLater(): void {
    if (this.#closed) return
    this.#asking = setTimeout(() => {
      this.#ask().then(
        () => this.succeeded(),
        () => this.#askLater(),
      )
    }, ASK_EVERY_MS).unref()
  }
}
