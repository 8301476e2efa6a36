/**
 * One consumer of one service: pulls, hands each event to the handler, and answers the server about it.
 *
 * What is in hand is kept alive until it is settled: acknowledged, copied to MAIL_DEAD and then taken off, or given back. Nothing
 * else ever happens to a message, and only `done` from the handler acknowledges.
 *
 *   done                      acknowledged
 *   reject, contract mismatch copied to MAIL_DEAD, confirmed there, then termed: never comes again
 *   a dependency is down      no more is pulled; what is in hand waits and is tried again, however long; nothing is counted
 *   any other throw           tried a few times, then given back for a while
 *   stopping                  nothing new; what is not done by the drain deadline is given back at once
 *   draining                  nothing new; what is being worked on is kept until it is done
 */
import type { EventContract } from '@postbus/contracts'
import type { Logger } from 'pino'
import { z } from 'zod'

import {
  BusFull,
  BusUnavailable,
  type Consuming,
  DependencyUnavailable,
  type Disposition,
  type Handler,
} from './bus.ts'
import type { Connection } from './connection.ts'
import { copyToDead } from './dead.ts'
import { Gate } from './gate.ts'
import { Loners } from './loners.ts'
import type { Delivered } from './message.ts'
import type { Backlog, BusMetrics, HandleOutcome } from './metrics.ts'
import { pauseMs, sleep, within } from './pause.ts'
import type { Publisher } from './publish.ts'
import { Puller } from './pull.ts'
import { inTrace } from './trace.ts'
import { LONE_DEATHS, suspicionOf, type Note, type Tried } from './tried.ts'

/** A handler that throws without naming a dependency may have met a passing fault: so often it is tried on the spot. */
const TRIES = 3
const BETWEEN_TRIES = { minMs: 200, maxMs: 2_000 }
/** Then the message goes back, so that its place serves others. */
const GIVEN_BACK = { minMs: 1_000, maxMs: 60_000 }
/** One dependency that stays down for one message alone. */
const DEPENDENCY = { minMs: 100, maxMs: 30_000 }
const MAX_LOGGED_ISSUES = 5
const NANOS = 1e9
/** Somebody reads the metrics and waits. */
const BACKLOG_TIMEOUT_MS = 1_500

const ConsumerInfo = z.object({ num_pending: z.number(), num_ack_pending: z.number() })

export interface ConsumptionOptions<S extends z.ZodType> {
  connection: Connection
  publisher: Publisher
  tried: Tried
  contract: EventContract<S>
  stream: string
  durable: string
  ackWaitMs: number
  maxInFlight: number
  drainDeadlineMs: number
  handler: Handler<S>
  log: Logger
  metrics: BusMetrics
}

interface InHand {
  readonly message: Delivered
  readonly log: Logger
  note: Note
}

export class Consumption<S extends z.ZodType> implements Consuming {
  readonly #options: ConsumptionOptions<S>
  readonly #puller: Puller
  readonly #gate: Gate
  readonly #loners = new Loners()
  /** By sequence in the stream, which no other stream of that name has ever used. */
  readonly #hand = new Map<number, InHand>()
  readonly #stopping = new AbortController()
  readonly #keepAlive: NodeJS.Timeout
  #emptied = (): void => undefined
  #drained: Promise<void> | undefined
  #stopped: Promise<void> | undefined

  constructor(options: ConsumptionOptions<S>) {
    const { connection, contract, stream, durable, log, metrics, maxInFlight, ackWaitMs } = options
    this.#options = options
    metrics.consuming(contract.name)
    this.#gate = new Gate((closedForMs) => {
      metrics.paused(contract.name)
      setTimeout(() => this.#puller.pull(), closedForMs).unref()
    })
    this.#keepAlive = setInterval(() => {
      for (const { message } of this.#hand.values()) message.working()
    }, ackWaitMs / 3)
    this.#puller = new Puller({
      connection,
      log,
      stream,
      durable,
      room: () => (this.#gate.open && !this.#loners.anyWaiting ? maxInFlight - this.#hand.size : 0),
      onMessage: (message) => void this.#take(message),
    })
  }

  /** @throws BusUnavailable */
  async backlog(): Promise<Backlog> {
    const { connection, contract, stream, durable } = this.#options
    const verb = `$JS.API.CONSUMER.INFO.${stream}.${durable}`
    const outcome = await connection.ask(verb, '', { timeoutMs: BACKLOG_TIMEOUT_MS })
    const info = outcome.kind === 'answer' ? ConsumerInfo.safeParse(tryJson(outcome.message.data)) : undefined
    if (!info?.success) throw new BusUnavailable(`${durable} of ${stream} does not say how far behind it is`)
    const { num_pending: pending, num_ack_pending: inHand } = info.data
    return { event: contract.name, consumer: durable, pending, inHand }
  }

  stop(): Promise<void> {
    this.#stopped ??= this.#stop()
    return this.#stopped
  }

  drain(): Promise<void> {
    this.#drained ??= this.#drain()
    return this.#drained
  }

  async #drain(): Promise<void> {
    this.#stopping.abort()
    await this.#puller.stop()
    await new Promise<void>((resolve) => {
      this.#emptied = resolve
      if (this.#hand.size === 0) resolve()
    })
    clearInterval(this.#keepAlive)
    await this.#sayLast()
  }

  async #stop(): Promise<void> {
    const { drainDeadlineMs, log } = this.#options
    await within(drainDeadlineMs, this.drain())
    clearInterval(this.#keepAlive)
    if (this.#hand.size === 0) return
    log.warn({ count: this.#hand.size }, 'not done by the drain deadline, given back')
    await Promise.all([...this.#hand.values()].map((item) => this.#giveBack(item, 0)))
    await this.#sayLast()
  }

  /** The answers must reach the server, or others wait for what nobody has any more. */
  async #sayLast(): Promise<void> {
    const { connection, log } = this.#options
    if (connection.connected) await connection.flush().catch((err) => log.warn({ err }, 'stopped without a last word'))
  }

  async #take(message: Delivered): Promise<void> {
    const { contract, log, metrics } = this.#options
    // Delivered again because we said nothing for too long, and still at work on it: kept alive, never tried twice at once.
    if (this.#hand.has(message.sequence)) return message.working()
    const started = performance.now()
    const queueId = message.headers?.get('queueId')
    const item: InHand = {
      message,
      log: log.child({ ...(queueId && { queueId }), deliveries: message.deliveries }),
      note: { givenBack: 0, loneTries: 0 },
    }
    this.#hand.set(message.sequence, item)
    if (message.deliveries === 1)
      metrics.arrived(contract.name, Math.max(0, Date.now() / 1000 - Number(message.stamp) / NANOS))
    let settled: HandleOutcome = 'givenBack'
    try {
      settled = await inTrace(message.headers?.get('traceparent'), () => this.#settle(item))
    } catch (err) {
      // Ours, not the handler's: it must not take the process down, and the message must not wait for its time-out.
      item.log.error({ err }, 'could not settle an event')
      await this.#giveBack(item, GIVEN_BACK.maxMs)
    } finally {
      this.#hand.delete(message.sequence)
      metrics.handled(contract.name, settled, (performance.now() - started) / 1000)
      if (this.#hand.size === 0) this.#emptied()
      this.#puller.pull()
    }
  }

  async #settle(item: InHand): Promise<HandleOutcome> {
    const { contract, tried, metrics } = this.#options
    const { message, log } = item
    if (this.#stopping.signal.aborted) return this.#giveBack(item, 0)
    if (message.deliveries > 1) {
      metrics.redelivered(contract.name)
      item.note = await tried.read(message)
    }
    const parsed = contract.schema.safeParse(tryJson(message.data))
    if (!parsed.success) {
      const issues = parsed.error.issues.slice(0, MAX_LOGGED_ISSUES).map(({ path, message: text }) => ({ path, text }))
      log.error({ subject: message.subject, issues }, 'event does not match its contract')
      return this.#bury(item, 'contract', z.prettifyError(parsed.error))
    }
    switch (suspicionOf(message.deliveries, item.note)) {
      case 'condemned':
        log.error({ subject: message.subject }, 'event killed every process that tried it alone')
        return this.#bury(
          item,
          'crash',
          `${LONE_DEATHS} processes died while they tried it and nothing else of this stream`,
        )
      case 'alone':
        log.warn({ subject: message.subject }, 'processes died with this event in hand, trying it alone')
        // Alone only while it is tried: what it waits for in between must not hold up the others.
        return this.#tryOut(item, () => this.#loners.alone(() => this.#lonely(item, parsed.data)))
      case 'none':
        return this.#tryOut(item, () => this.#loners.together(() => this.#handle(item, parsed.data)))
    }
  }

  /** Tries until the event is settled one way or the other. */
  async #tryOut(item: InHand, attempt: () => Promise<Disposition>): Promise<HandleOutcome> {
    const { signal } = this.#stopping
    let failures = 0
    let outages = 0
    for (;;) {
      await this.#gate.passed(signal)
      if (signal.aborted) return this.#giveBack(item, 0)
      try {
        const disposition = await attempt()
        this.#gate.succeeded()
        if (disposition.kind === 'reject') {
          item.log.error({ subject: item.message.subject, reason: disposition.reason }, 'event rejected')
          return await this.#bury(item, 'rejected', disposition.reason)
        }
        item.message.ack()
        this.#forget(item)
        return 'done'
      } catch (err) {
        if (signal.aborted) return this.#giveBack(item, 0)
        if (isOutage(err)) {
          this.#gate.failed()
          item.log[outages === 0 ? 'warn' : 'debug']({ err }, 'something the event needs is down, waiting for it')
          await sleep(pauseMs(outages++, DEPENDENCY), signal)
        } else {
          item.log.error({ err, subject: item.message.subject }, 'handler failed')
          if (++failures === TRIES) return this.#giveBack(item, pauseMs(item.message.deliveries, GIVEN_BACK))
          await sleep(pauseMs(failures, BETWEEN_TRIES), signal)
        }
      }
    }
  }

  async #lonely(item: InHand, event: z.output<S>): Promise<Disposition> {
    const { tried } = this.#options
    await tried.beginAlone(item.message, item.note)
    try {
      return await this.#handle(item, event)
    } finally {
      await tried.endAlone(item.message, item.note)
    }
  }

  #handle({ message, log }: InHand, event: z.output<S>): Promise<Disposition> {
    return this.#options.handler(event, { log, deliveries: message.deliveries, signal: this.#stopping.signal })
  }

  /** The copy is confirmed before the message is taken off its stream; until then it stays in hand. */
  async #bury(item: InHand, reason: 'contract' | 'rejected' | 'crash', detail: string): Promise<HandleOutcome> {
    const { publisher, metrics, contract } = this.#options
    const { signal } = this.#stopping
    for (let outages = 0; ; outages++) {
      try {
        await copyToDead(item.message, reason, detail, publisher)
        item.message.term(reason)
        this.#forget(item)
        metrics.buried(contract.name, reason)
        return reason === 'contract' ? 'mismatch' : reason
      } catch (err) {
        if (signal.aborted) return this.#giveBack(item, 0)
        item.log.error({ err }, 'cannot copy an event to MAIL_DEAD, so it stays where it is')
        if (!isOutage(err)) return this.#giveBack(item, GIVEN_BACK.maxMs)
        this.#gate.failed()
        await sleep(pauseMs(outages, DEPENDENCY), signal)
      }
    }
  }

  async #giveBack(item: InHand, afterMs: number): Promise<HandleOutcome> {
    await this.#options.tried.givenBack(item.message, item.note)
    item.message.giveBack(afterMs)
    return 'givenBack'
  }

  #forget({ message, note }: InHand): void {
    if (note.givenBack > 0 || note.loneTries > 0) void this.#options.tried.forget(message)
  }
}

const isOutage = (err: unknown): boolean =>
  err instanceof DependencyUnavailable || err instanceof BusUnavailable || err instanceof BusFull

function tryJson(data: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(data))
  } catch {
    return undefined
  }
}
