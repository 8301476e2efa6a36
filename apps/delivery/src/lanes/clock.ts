/** Time as the scheduler sees it: a test moves it by hand. */
export interface Clock {
  /** Milliseconds that only grow; no clock of the day. */
  now(): number
  /** The time of day so many milliseconds from now. */
  dateIn(ms: number): Date
  /** @returns what takes it back */
  after(ms: number, action: () => void): () => void
}

export const systemClock: Clock = {
  now: () => performance.now(),
  dateIn: (ms) => new Date(Date.now() + ms),
  after(ms, action) {
    const timer = setTimeout(action, ms)
    return () => clearTimeout(timer)
  },
}

/** @param random in [0, 1). @returns `ms`, lengthened or shortened by at most `jitter` of itself */
export const spread = (ms: number, jitter: number, random: number): number => ms * (1 - jitter + 2 * jitter * random)
