/**
 * Publishes what was accepted. The first try is awaited, shortly: whatever comes of it, the answer to the client is 250,
 * because the record is durable. What the bus did not take is tried again in the background, in bounded number; custody
 * finds the rest in the spool.
 */
import { BusFull, type Bus } from '@postbus/bus'
import { MailAccepted } from '@postbus/contracts'
import type { Logger } from 'pino'

export interface AnnounceOptions {
  /** What the client waits at most for the bus. */
  firstTryMs: number
  /** Pause between tries in the background. */
  retryMs: number
  /** Events kept for the background; more are left to custody. */
  maxWaiting: number
}

export class Announcer {
  readonly #bus: Pick<Bus, 'publish'>
  readonly #log: Logger
  readonly #options: AnnounceOptions
  readonly #waiting: MailAccepted[] = []
  readonly #stopped = new AbortController()
  #retrying: Promise<void> | undefined
  #full = false

  constructor(bus: Pick<Bus, 'publish'>, log: Logger, options: AnnounceOptions) {
    this.#bus = bus
    this.#log = log
    this.#options = options
  }

  /** The bus has refused for lack of room, and has not taken anything since. */
  get full(): boolean {
    return this.#full
  }

  /** Never throws. */
  async announce(event: MailAccepted): Promise<void> {
    try {
      await this.#bus.publish(MailAccepted, event, { deadlineMs: this.#options.firstTryMs })
      this.#full = false
    } catch (err) {
      const { queueId } = event
      this.#log.warn({ err, queueId }, 'accepted and durable, not yet on the bus')
      if (err instanceof BusFull) this.#full = true
      if (this.#waiting.length >= this.#options.maxWaiting) return
      this.#waiting.push(event)
      this.#retrying ??= this.#retry()
    }
  }

  /** Gives up the background: custody takes over from the spool. */
  async stop(): Promise<void> {
    this.#stopped.abort()
    await this.#retrying
  }

  async #retry(): Promise<void> {
    const { signal } = this.#stopped
    while (!signal.aborted) {
      const [event] = this.#waiting
      if (event === undefined) break
      await pause(this.#options.retryMs, signal)
      if (signal.aborted) break
      try {
        await this.#bus.publish(MailAccepted, event, { deadlineMs: this.#options.firstTryMs })
        this.#full = false
        this.#waiting.shift()
        // The bus takes again: the others need not wait their pause.
        await this.#flush()
      } catch (err) {
        this.#full = err instanceof BusFull
      }
    }
    this.#retrying = undefined
  }

  async #flush(): Promise<void> {
    while (this.#waiting.length > 0 && !this.#stopped.signal.aborted) {
      const [event] = this.#waiting
      if (event === undefined) return
      await this.#bus.publish(MailAccepted, event, { deadlineMs: this.#options.firstTryMs })
      this.#waiting.shift()
    }
  }
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer)
      signal.removeEventListener('abort', done)
      resolve()
    }
    const timer = setTimeout(done, ms)
    signal.addEventListener('abort', done, { once: true })
  })
}
