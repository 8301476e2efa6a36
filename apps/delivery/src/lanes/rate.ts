/**
 * So many per minute, evenly: the generic cell rate algorithm (ITU-T I.371), which keeps one time instead of a count per
 * window and so knows no minute whose end and beginning together let twice as many through.
 */
const MINUTE_MS = 60_000
/** What may come at once after a pause. Peers count over longer times than this. */
const BURST_MS = 1000

export class Rate {
  /** When the next one would be due if all had come evenly. */
  #due = -Infinity

  /** When the next one may begin; in the past: now. */
  next(perMinute: number | undefined): number {
    return perMinute === undefined ? -Infinity : this.#due - Math.max(0, BURST_MS - MINUTE_MS / perMinute)
  }

  begun(now: number, perMinute: number | undefined): void {
    if (perMinute !== undefined) this.#due = Math.max(now, this.#due) + MINUTE_MS / perMinute
  }
}
