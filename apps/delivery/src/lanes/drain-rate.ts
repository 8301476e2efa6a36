/**
 * How fast a site's queue drains, measured while something waits: only then does the rate say what the site can do and not what
 * it was asked to. Unknown until something has waited for a while without a break.
 */
export const PROBATION_MS = 1000
/** A site that stopped is found out in at most this time. */
const WINDOW_MS = 10_000
/** What a site has shown once counts for less with every half window: for half after a minute. */
const FADING = 0.94

export class DrainRate {
  #since: number | null = null
  /** Counted since the latest half window began, and in the half before. */
  #halfBegan = 0
  #now = 0
  #before = 0
  #best = 0

  /** Something waits, or nothing does any more. */
  waiting(any: boolean, now: number): void {
    if (!any) this.#since = null
    else if (this.#since === null) {
      this.#since = now
      this.#halfBegan = now
      this.#now = 0
      this.#before = 0
    }
  }

  done(now: number): void {
    this.#turn(now)
    this.#now++
  }

  /**
   * Transactions per millisecond, never 0: one more is counted than was seen, so that what never ended yet is taken for as slow as
   * it has shown itself to be. Null: not known.
   */
  perMs(now: number): number | null {
    if (this.#since === null || now - this.#since < PROBATION_MS) return null
    this.#turn(now)
    const span = Math.min(now - this.#since, WINDOW_MS / 2 + now - this.#halfBegan)
    return (this.#before + this.#now + 1) / span
  }

  /**
   * How many times as much it may turn out to be: the first seconds say little, for they go into sessions that have yet to be opened.
   * 1 once it was seen for a whole window.
   */
  doubt(now: number): number {
    return this.#since === null ? 1 : Math.max(1, WINDOW_MS / Math.max(1, now - this.#since))
  }

  /** The best it has shown of late, transactions per millisecond: who is slow for a while may be so because we are. */
  get bestPerMs(): number {
    return this.#best
  }

  #turn(now: number): void {
    const halves = Math.floor((now - this.#halfBegan) / (WINDOW_MS / 2))
    if (halves === 0) return
    this.#best = Math.max(this.#best * FADING ** halves, this.#now / (WINDOW_MS / 2))
    this.#before = halves === 1 ? this.#now : 0
    this.#now = 0
    this.#halfBegan += halves * (WINDOW_MS / 2)
  }
}
