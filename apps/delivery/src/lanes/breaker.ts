/**
 * Leaves a site alone that cannot be spoken to. Open, nothing is tried; after a pause one transaction is, and its end decides:
 * closed again, or open for longer.
 *
 * It opens for trouble only, and only when as many transactions in a row had it as were allowed at once when it began: what
 * struck one cohort is one event, not many.
 */
import { spread } from './clock.ts'
import type { Trouble } from './site-news.ts'

export interface BreakerOptions {
  /** Troubles in a row, at least. */
  troubles: number
  firstPauseMs: number
  longestPauseMs: number
}

const JITTER = 0.2

export type BreakerState =
  | { kind: 'closed' }
  | { kind: 'open'; trouble: Trouble; probeAt: number }
  /** One transaction may try, or does so already. */
  | { kind: 'halfOpen'; probing: boolean }

export class Breaker {
  readonly #options: BreakerOptions
  readonly #random: () => number
  /** Troubles in a row, and how many open it. */
  #count = 0
  #enough = 0
  /** Times in a row that it opened. */
  #openings = 0
  #open: { trouble: Trouble; probeAt: number } | null = null
  #probing = false

  constructor(options: BreakerOptions, random: () => number) {
    this.#options = options
    this.#random = random
  }

  get closed(): boolean {
    return this.#open === null
  }

  /** Nothing is known against the site. */
  get spotless(): boolean {
    return this.closed && this.#count === 0
  }

  state(now: number): BreakerState {
    if (this.#open === null) return { kind: 'closed' }
    return now < this.#open.probeAt ? { kind: 'open', ...this.#open } : { kind: 'halfOpen', probing: this.#probing }
  }

  /** The one transaction that may try begins. */
  probe(): void {
    this.#probing = true
  }

  /**
   * @param allowed transactions at once when it ended
   * @param probe it was the one that tried
   * @returns whether the site is to be left alone from now on
   */
  trouble(trouble: Trouble, { allowed, probe, now }: { allowed: number; probe: boolean; now: number }): boolean {
    // Begun before it opened: it tells nothing new.
    if (this.#open !== null && !probe) return false
    if (this.#count++ === 0) this.#enough = Math.max(this.#options.troubles, allowed)
    if (!probe && this.#count < this.#enough) return false
    const { firstPauseMs, longestPauseMs } = this.#options
    const pauseMs = Math.min(longestPauseMs, firstPauseMs * 2 ** Math.min(this.#openings++, 30))
    this.#open = { trouble, probeAt: now + spread(pauseMs, JITTER, this.#random()) }
    this.#probing = false
    return true
  }

  /** It was spoken to. @returns whether that closed it */
  answered(): boolean {
    const closes = this.#open !== null
    this.#open = null
    this.#probing = false
    this.#count = 0
    this.#openings = 0
    return closes
  }

  /** The one that tried ended without telling anything of the site; another may. */
  untold(): void {
    this.#probing = false
  }
}
