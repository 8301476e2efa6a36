/**
 * The time by the broker's clock, by which schedules fire. A clock that was set wrong here must neither hold mail back for an hour
 * nor send it an hour early, so a time is understood as "so long from now", and told to the broker in its own.
 */
import { LEASE_BUCKET } from '@postbus/contracts'

import type { Connection } from './connection.ts'

/** Asked again so often: the broker's clock may be set as well, and it may be another broker. */
const ASK_EVERY_MS = 60_000
/** Where it did not answer. */
const ASK_AGAIN_MS = 5000
const TIMEOUT_MS = 2000

export interface Clocks {
  /** As an administrator sets it (ms). */
  wall(): number
  /** Never set (ms). */
  monotonic(): number
}

const ownClocks: Clocks = { wall: () => Date.now(), monotonic: () => performance.now() }

export class BrokerClock {
  readonly #connection: Pick<Connection, 'ask'>
  readonly #clocks: Clocks
  /** The broker's time less our monotonic one; unknown before the first answer. */
  #ahead: number | undefined
  #askAt = -Infinity
  /** Under way: nobody goes by a time that is just being asked for. */
  #asking: Promise<void> | undefined

  constructor(connection: Pick<Connection, 'ask'>, clocks: Clocks = ownClocks) {
    this.#connection = connection
    this.#clocks = clocks
  }

  /** @returns what the broker's clock will show when ours shows `at`; `at` itself where the broker has never said its time */
  async timeOf(at: Date): Promise<Date> {
    const { wall, monotonic } = this.#clocks
    const fromNow = at.getTime() - wall()
    const now = monotonic()
    if (now >= this.#askAt) this.#asking ??= this.#ask().finally(() => (this.#asking = undefined))
    await this.#asking
    return this.#ahead === undefined ? at : new Date(now + this.#ahead + fromNow)
  }

  async #ask(): Promise<void> {
    const { monotonic } = this.#clocks
    const askedAt = monotonic()
    const outcome = await this.#connection.ask(`$JS.API.STREAM.INFO.KV_${LEASE_BUCKET}`, '', { timeoutMs: TIMEOUT_MS })
    const told = outcome.kind === 'answer' ? Date.parse(outcome.message.json<{ ts?: string }>().ts ?? '') : NaN
    // Told somewhere between question and answer; the later end, so that nothing is sent early.
    if (!Number.isNaN(told)) this.#ahead = told - askedAt
    this.#askAt = askedAt + (Number.isNaN(told) ? ASK_AGAIN_MS : ASK_EVERY_MS)
  }
}
