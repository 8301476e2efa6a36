/**
 * How many transactions a site gets at once: few at first, more while it answers, fewer when it does not. Never below one.
 *
 * A success adds one until the site has shown where its limit is, so that the window doubles when a whole cohort went well; from then
 * on one part in as many as are allowed, and a cohort adds one. Only while the window is used, because an idle site proves nothing.
 * Trouble takes one away; a site that says it is busy halves it.
 */
export class Concurrency {
  #window: number
  readonly #initial: number
  /** It has shown where its limit is. */
  #refused = false

  /** @param initial what a site begins with, and again when it came back from the dead */
  constructor(initial: number) {
    this.#initial = initial
    this.#window = initial
  }

  /** @param limit the policy's, which may have changed since */
  allowed(limit: number): number {
    return Math.max(1, Math.min(limit, Math.floor(this.#window)))
  }

  /** @param running how many there were, with the one that went well */
  well(running: number, limit: number): void {
    if (this.#window >= limit) this.#window = limit
    else if (running + this.#initial > this.#window) this.#window += this.#refused ? 1 / this.allowed(limit) : 1
  }

  /** How many times as much it may bear as it does now: while it goes well, and nothing said otherwise. */
  headroom(limit: number): number {
    return this.#refused ? 1 : Math.max(1, limit / this.allowed(limit))
  }

  trouble(): void {
    this.#refused = true
    this.#window = Math.max(1, this.#window - 1)
  }

  busy(): void {
    this.#refused = true
    this.#window = Math.max(1, this.#window / 2)
  }

  /** It has not been learned to be anything but what a site begins with. */
  get initial(): boolean {
    return Math.floor(this.#window) === this.#initial
  }

  restart(): void {
    this.#window = this.#initial
    this.#refused = false
  }
}
