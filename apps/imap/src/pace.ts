/** How fast one client's commands are taken: a bucket of tokens. Beyond it the client waits; nothing is refused. */
import { setTimeout as pause } from 'node:timers/promises'

export class Pace {
  readonly #perSecond: number
  #tokens: number
  #filledAt = performance.now()

  /** A second's worth may come at once. */
  constructor(perSecond: number) {
    this.#perSecond = perSecond
    this.#tokens = perSecond
  }

  async turn(signal: AbortSignal): Promise<void> {
    const now = performance.now()
    this.#tokens = Math.min(this.#perSecond, this.#tokens + ((now - this.#filledAt) / 1000) * this.#perSecond)
    this.#filledAt = now
    this.#tokens--
    if (this.#tokens < 0) await pause((-this.#tokens / this.#perSecond) * 1000, undefined, { signal })
  }
}
