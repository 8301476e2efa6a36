/**
 * Pulls messages of one durable consumer, never more at once than the caller has room for.
 *
 * Not the client library's `consume`: that one reads ahead into a buffer where messages age unseen, cannot be paused without
 * giving up its consumer, and counts a message as handled when a callback was called. Here a message is pulled when there is
 * room for it, everything pulled is known (and kept alive by its owner), and a stream or consumer that was deleted is simply
 * asked again until it is back.
 *
 * Requests are answered by messages or by a status: 404 and 408 when a request ended unfilled, 409 when it cannot be filled (the
 * consumer was deleted, leadership moved), 503 when nobody knows the consumer, 100 as a heartbeat. ADR-37.
 */
import type { Msg, Subscription } from '@nats-io/transport-node'
import type { Logger } from 'pino'

import { noResponders, type Connection } from './connection.ts'
import { delivered, type Delivered } from './message.ts'
import { pauseMs } from './pause.ts'

const NANOS = 1_000_000
/** A request lives this long; then the next one. Bounds how long the server keeps a request of a process that died. */
const EXPIRES_MS = 30_000
const HEARTBEAT_MS = 5_000
/** Two heartbeats missed: the server forgot the request, or the message about its end was lost. */
const SILENCE_MS = 2 * HEARTBEAT_MS + 1_000
/** The consumer is not there: asked again after this, growing. */
const ABSENT = { minMs: 100, maxMs: 2_000 }

export interface PullOptions {
  connection: Connection
  log: Logger
  stream: string
  durable: string
  /** How many more messages the owner can take now. */
  room(): number
  /** Called in the order of arrival. Must not throw. */
  onMessage(message: Delivered): void
}

export class Puller {
  readonly #options: PullOptions
  readonly #nextSubject: string
  #subscription: Subscription | undefined
  #inbox = ''
  /** Asked for and not yet here. */
  #owed = 0
  #absences = 0
  #heard = 0
  #retry: NodeJS.Timeout | undefined
  #asking: NodeJS.Immediate | undefined
  #stopped = false
  readonly #watchdog: NodeJS.Timeout
  readonly #reconnect: { stop(): Promise<void> }

  constructor(options: PullOptions) {
    this.#options = options
    this.#nextSubject = `$JS.API.CONSUMER.MSG.NEXT.${options.stream}.${options.durable}`
    this.#watchdog = setInterval(() => this.#watch(), HEARTBEAT_MS)
    // Requests died with the connection.
    this.#reconnect = options.connection.onReconnect(() => this.#restart())
    this.#restart()
  }

  /** There is room again, or there may be. Cheap; call it whenever something ended: what ends together is asked for together. */
  pull(): void {
    this.#asking ??= setImmediate(() => {
      this.#asking = undefined
      this.#ask()
    })
  }

  #ask(): void {
    if (this.#stopped || this.#retry || !this.#options.connection.connected) return
    const room = this.#options.room()
    const missing = room - this.#owed
    // Topped up by halves: a request per message would double the traffic.
    if (missing <= 0 || (this.#owed > 0 && missing < room / 2)) return
    if (this.#owed === 0) this.#heard = performance.now()
    this.#owed += missing
    const request = { batch: missing, expires: EXPIRES_MS * NANOS, idle_heartbeat: HEARTBEAT_MS * NANOS }
    this.#options.connection.nats.publish(this.#nextSubject, JSON.stringify(request), { reply: this.#inbox })
  }

  /** Nothing is asked for any more; what is on its way still comes, until this resolves. */
  async stop(): Promise<void> {
    if (this.#stopped) return
    this.#stopped = true
    clearInterval(this.#watchdog)
    clearTimeout(this.#retry)
    await this.#reconnect.stop()
    try {
      await this.#subscription?.drain()
    } catch {
      // No connection: nothing comes any more.
    }
  }

  /** Forgets all requests. A new inbox, because answers to the old ones would be counted against the new. */
  #restart(): void {
    clearTimeout(this.#retry)
    this.#retry = undefined
    this.#subscription?.unsubscribe()
    const { connection, log } = this.#options
    if (connection.nats.isClosed()) return
    this.#inbox = connection.newInbox()
    this.#owed = 0
    this.#subscription = connection.nats.subscribe(this.#inbox, {
      callback: (err, message) => void (err ? log.error({ err }, 'cannot hear the consumer') : this.#received(message)),
    })
    this.pull()
  }

  #received(message: Msg): void {
    this.#heard = performance.now()
    // A status comes on the inbox itself, a message under the subject it was published to.
    if (message.subject !== this.#inbox) {
      this.#owed = Math.max(0, this.#owed - 1)
      this.#absences = 0
      this.#options.onMessage(delivered(message, this.#options.connection))
      return
    }
    if (noResponders(message)) return this.#absent('is not there')
    const { code = 0, description = '' } = message.headers ?? {}
    if (code === 100) return
    if (code === 409 && !/batch completed/i.test(description)) return this.#absent(description)
    // Ended unfilled: the rest of that request is not owed any more.
    const unfilled = Number(message.headers?.get('Nats-Pending-Messages') || this.#owed)
    this.#owed = Math.max(0, this.#owed - unfilled)
    this.pull()
  }

  #absent(why: string): void {
    if (this.#retry || this.#stopped) return
    const { log, stream, durable } = this.#options
    if (this.#absences === 0) log.warn({ stream, consumer: durable, why }, 'cannot pull, trying again until it works')
    this.#retry = setTimeout(() => this.#restart(), pauseMs(this.#absences++, ABSENT))
  }

  #watch(): void {
    if (this.#stopped || this.#retry || !this.#options.connection.connected) return
    if (this.#owed === 0) return this.pull()
    if (performance.now() - this.#heard > SILENCE_MS) this.#absent('is silent')
  }
}
