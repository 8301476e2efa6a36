/**
 * Tells the bus about records that are durable already.
 *
 * Nothing here can refuse a message any more: a publication that fails is tried again for as long as we run, up to a number,
 * and what is left is published by custody, which finds the record in the spool.
 */
import { setTimeout as wait } from 'node:timers/promises'

import { type Bus, BusFull, BusRefused } from '@postbus/bus'
import { MailAccepted } from '@postbus/contracts'
import type { Logger } from 'pino'

export interface PublisherLimits {
  /** How long a message waits for its publication before it is answered without. */
  publishWaitMs: number
  /** Pause before another try; doubled each time, up to 5 s. */
  firstPauseMs: number
  /** Publications kept for another try; more are left to custody. */
  maxUnpublished: number
  /** How long `drain` goes on trying. */
  drainMs: number
}

const LONGEST_PAUSE_MS = 5000

export class Publisher {
  readonly #bus: Pick<Bus, 'publish'>
  readonly #log: Logger
  readonly #limits: PublisherLimits
  readonly #unpublished: MailAccepted[] = []
  readonly #stopping = new AbortController()
  #full = false
  #retrying: Promise<void> | undefined

  constructor(bus: Pick<Bus, 'publish'>, log: Logger, limits: PublisherLimits) {
    this.#bus = bus
    this.#log = log
    this.#limits = limits
  }

  /** The bus refused for lack of room and took nothing since. It is asked again until it does. */
  get full(): boolean {
    return this.#full
  }

  get unpublished(): number {
    return this.#unpublished.length
  }

  /** Resolves when the bus has it, or refused it, or time is up. Never rejects. */
  async publish(accepted: MailAccepted): Promise<void> {
    const { publishWaitMs } = this.#limits
    const waiting = new AbortController()
    const trying = this.#try(accepted, publishWaitMs).then((done) => {
      if (!done) this.#later(accepted)
    })
    const late = wait(publishWaitMs, undefined, { signal: waiting.signal }).catch(() => {})
    await Promise.race([trying, late])
    waiting.abort()
  }

  /** Goes on with what is unpublished for a while, then leaves it to custody. */
  async drain(): Promise<void> {
    const done = new AbortController()
    const deadline = wait(this.#limits.drainMs, undefined, { signal: done.signal }).catch(() => {})
    await Promise.race([this.#retrying, deadline])
    done.abort()
    this.#stopping.abort()
    await this.#retrying
    if (this.#unpublished.length > 0) {
      this.#log.warn({ unpublished: this.#unpublished.length }, 'stopped with publications left to custody')
    }
  }

  /** @returns whether it is settled: the bus has it, or never will */
  async #try(accepted: MailAccepted, deadlineMs: number): Promise<boolean> {
    const { queueId } = accepted
    try {
      await this.#bus.publish(MailAccepted, accepted, { deadlineMs })
      if (this.#full) this.#log.info({ queueId }, 'the bus takes messages again')
      this.#full = false
      return true
    } catch (cause) {
      if (cause instanceof BusFull && !this.#full) this.#log.warn({ queueId, err: cause }, 'the bus is full')
      if (cause instanceof BusFull) this.#full = true
      else this.#log.warn({ queueId, err: cause }, 'accepted message not published')
      return cause instanceof BusRefused
    }
  }

  #later(accepted: MailAccepted): void {
    if (this.#unpublished.length >= this.#limits.maxUnpublished || this.#stopping.signal.aborted) {
      this.#log.warn({ queueId: accepted.queueId }, 'publication left to custody')
      return
    }
    this.#unpublished.push(accepted)
    this.#retrying ??= this.#retry().finally(() => {
      this.#retrying = undefined
    })
  }

  async #retry(): Promise<void> {
    const { firstPauseMs } = this.#limits
    let pauseMs = firstPauseMs
    for (let next = this.#unpublished[0]; next; next = this.#unpublished[0]) {
      await wait(pauseMs, undefined, { signal: this.#stopping.signal }).catch(() => {})
      if (this.#stopping.signal.aborted) return
      const settled = await this.#try(next, this.#limits.publishWaitMs)
      if (settled) this.#unpublished.shift()
      pauseMs = settled ? 0 : Math.min(LONGEST_PAUSE_MS, Math.max(firstPauseMs, 2 * pauseMs))
    }
    // Nothing is left to ask with; the next message will.
    this.#full = false
  }
}
