/**
 * When what is put back comes again: one after the other at some pace of the site's, so that a backlog does not come back all at
 * once, only to be put back again. The pace is twice what the site has shown: one that became faster must not stand idle, and
 * who comes too early is put back once more.
 */
import { spread } from './clock.ts'

export interface SpillOptions {
  /** Who would wait longer than this is put back. */
  afterMs: number
  /** It comes again no sooner and no later than this. */
  minMs: number
  maxMs: number
}

const JITTER = 0.2
const HOPE = 2

export class Spill {
  readonly #options: SpillOptions
  readonly #random: () => number
  /** When the last one that was put back would have its turn. */
  #end = -Infinity

  constructor(options: SpillOptions, random: () => number) {
    this.#options = options
    this.#random = random
  }

  get afterMs(): number {
    return this.#options.afterMs
  }

  /** Something is put back still. */
  pending(now: number): boolean {
    return this.#end > now
  }

  /** @param perMs transactions. @returns milliseconds from now */
  delayMs(perMs: number, now: number): number {
    const { afterMs, minMs, maxMs } = this.#options
    this.#end = Math.min(Math.max(this.#end, now + afterMs) + 1 / (HOPE * perMs), now + maxMs)
    const delayMs = spread(this.#end - now, JITTER, this.#random())
    return Math.min(maxMs, Math.max(minMs, delayMs))
  }
}
