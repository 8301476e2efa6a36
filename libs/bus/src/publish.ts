/**
 * Publishes into streams: the same message id at every try, until the stream confirms or the deadline has passed.
 *
 * A confirmation means the stream has the message, from this try or an earlier one. No confirmation means nothing: it may be
 * stored or not, and only the same id makes trying again safe.
 */
import { headers, type MsgHdrs } from '@nats-io/transport-node'
import type { EventContract } from '@postbus/contracts'
import type { Logger } from 'pino'
import type { z } from 'zod'

import { BrokerClock } from './broker-clock.ts'
import { BusFull, BusRefused, BusUnavailable, ScheduleGone, type PublishOptions } from './bus.ts'
import type { Connection, Outcome } from './connection.ts'
import type { BusMetrics, PublishOutcome } from './metrics.ts'
import { pauseMs, sleep } from './pause.ts'
import { Reserve } from './reserve.ts'
import { semaphore } from './semaphore.ts'
import { nextTraceparent } from './trace.ts'

/** Longer than a leader election (some 5 s), which is when publications stall. */
const DEFAULT_DEADLINE_MS = 20_000
/** A try that got lost must not cost more; the next carries the same id. */
const TRY_TIMEOUT_MS = 2_000
const RETRY = { minMs: 50, maxMs: 1_000 }
/** More would only wait inside the server: JetStream stores one after the other. */
const MAX_IN_FLIGHT = 1_024
/**
 * Half of what the server takes, because the copy in MAIL_DEAD carries the payload in base64 and must always fit.
 */
export const MAX_EVENT_BYTES = 512 * 1024

/** Error codes of JetStream's API. */
const STREAM_STORE_FAILED = 10_077
const WRONG_LAST_SEQUENCE = 10_071
const FULL: ReadonlySet<number> = new Set([
  10_002, // the account's limit
  10_023, // insufficient resources
  10_047, // insufficient storage
])
/** What will not change by trying again: malformed, too large, a schedule whose target is elsewhere. */
const REFUSED_STATUS = 400

interface PubAck {
  stream?: string
  seq?: number
  duplicate?: boolean
  error?: { code: number; err_code?: number; description?: string }
}

interface Publication {
  name: string
  subject: string
  payload: Uint8Array
  header: MsgHdrs
}

export class Publisher {
  readonly #connection: Connection
  readonly #log: Logger
  readonly #metrics: BusMetrics
  readonly #reserve: Reserve
  readonly #brokerClock: BrokerClock
  readonly #slots = semaphore(MAX_IN_FLIGHT)

  constructor(connection: Connection, log: Logger, metrics: BusMetrics) {
    this.#connection = connection
    this.#reserve = new Reserve(connection)
    this.#brokerClock = new BrokerClock(connection)
    this.#log = log
    this.#metrics = metrics
  }

  async publish<S extends z.ZodType>(
    contract: EventContract<S>,
    input: z.input<S>,
    { deadlineMs = DEFAULT_DEADLINE_MS, schedule, cancels }: PublishOptions = {},
  ): Promise<void> {
    const event = contract.schema.parse(input)
    const payload = Buffer.from(JSON.stringify(event))
    if (payload.length > MAX_EVENT_BYTES) {
      throw new BusRefused(`${contract.name} of ${payload.length} bytes, more than ${MAX_EVENT_BYTES}`)
    }
    if ((schedule !== undefined) !== waitsForItsTime(contract)) {
      throw new BusRefused(`${contract.name} is ${schedule ? 'not ' : ''}published with a schedule`)
    }
    const header = headers()
    header.set('Nats-Msg-Id', contract.messageId(event))
    header.set('traceparent', nextTraceparent())
    const queueId = contract.queueId?.(event)
    if (queueId) header.set('queueId', queueId)
    if (schedule) {
      const at = await this.#brokerClock.timeOf(schedule.at)
      header.set('Nats-Schedule', `@at ${at.toISOString()}`)
      header.set('Nats-Schedule-Target', schedule.target)
    }
    if (contract.ttlSeconds !== undefined) header.set('Nats-TTL', `${contract.ttlSeconds}s`)
    if (cancels) {
      header.set('Nats-Scheduler', cancels.subject)
      header.set('Nats-Schedule-Next', 'purge')
      if (cancels.sequence !== undefined) {
        header.set('Nats-Expected-Last-Subject-Sequence', String(cancels.sequence))
        header.set('Nats-Expected-Last-Subject-Sequence-Subject', cancels.subject)
      }
    }

    const started = performance.now()
    const publication = { name: contract.name, subject: contract.subject(event), payload, header }
    let outcome: PublishOutcome = 'confirmed'
    try {
      if (contract.newWorkOf?.some((party) => party === this.#connection.party)) await this.#leaveReserve(publication)
      await this.#slots.run(() => this.#untilConfirmed(publication, started + deadlineMs))
    } catch (error) {
      outcome = outcomeOf(error)
      throw error
    } finally {
      this.#metrics.published(contract.name, outcome, (performance.now() - started) / 1000)
    }
  }

  async #leaveReserve({ name, payload }: Publication): Promise<void> {
    if (await this.#reserve.admits(payload.length)) return
    throw new BusFull(`${name}: what is left of the bus is for work that is under way`)
  }

  async #untilConfirmed(publication: Publication, deadline: number): Promise<void> {
    const { name, subject } = publication
    let problem = 'no connection'
    for (let attempt = 0; ; attempt++) {
      const left = deadline - performance.now()
      if (left <= 0) throw new BusUnavailable(`${name} not confirmed in time: ${problem}`)
      if (this.#connection.closed) throw new BusUnavailable(`${name} not confirmed: the bus was closed`)
      if (!(await this.#connection.whenConnected(left))) continue
      const result = verdict(await this.#ask(publication, Math.min(TRY_TIMEOUT_MS, left)), subject)
      if (result.kind === 'stored') return
      if (result.kind === 'full') throw new BusFull(`${name}: ${result.problem}`)
      if (result.kind === 'gone') throw new ScheduleGone(`${name}: ${result.problem}`)
      if (result.kind === 'refused') throw new BusRefused(`${name}: ${result.problem}`)
      problem = result.problem
      this.#log.debug({ subject, attempt, problem }, 'publication not confirmed, trying again')
      // What was lost with the connection goes again at once; what the server answered needs time to change.
      if (result.wait) await sleep(Math.min(pauseMs(attempt, RETRY), Math.max(0, deadline - performance.now())))
    }
  }

  async #ask({ subject, payload, header }: Publication, timeoutMs: number): Promise<Outcome> {
    try {
      return await this.#connection.ask(subject, payload, { headers: header, timeoutMs })
    } catch (cause) {
      throw new BusRefused(`the bus does not take this publication to ${subject}`, { cause })
    }
  }
}

/** Something stored where no consumer looks, and that does not go by itself, is there to wait for its schedule. */
const waitsForItsTime = ({ stream, consumers, ttlSeconds }: EventContract): boolean =>
  stream.schedules && consumers.length === 0 && ttlSeconds === undefined

function outcomeOf(error: unknown): PublishOutcome {
  if (error instanceof BusFull) return 'full'
  if (error instanceof BusUnavailable) return 'unavailable'
  return error instanceof ScheduleGone ? 'gone' : 'refused'
}

type Verdict =
  | { kind: 'stored' }
  | { kind: 'full'; problem: string }
  | { kind: 'gone'; problem: string }
  | { kind: 'refused'; problem: string }
  | { kind: 'again'; wait: boolean; problem: string }

function verdict(outcome: Outcome, subject: string): Verdict {
  switch (outcome.kind) {
    case 'nobody':
      return { kind: 'again', wait: true, problem: `no stream listens on ${subject}` }
    case 'timeout':
      return { kind: 'again', wait: false, problem: 'no confirmation' }
    case 'lost':
      return { kind: 'again', wait: false, problem: 'the connection broke' }
    case 'denied':
      return { kind: 'refused', problem: `this party may not publish to ${subject}` }
    case 'answer':
      return verdictOf(outcome.message.json<PubAck>())
  }
}

function verdictOf({ stream, error }: PubAck): Verdict {
  if (!error)
    return stream ? { kind: 'stored' } : { kind: 'again', wait: true, problem: 'an answer that is no confirmation' }
  const { code, err_code: errorCode = 0, description = 'no description' } = error
  const problem = `${description} (${errorCode})`
  if (errorCode === STREAM_STORE_FAILED) {
    // One message per subject, and it is there: held once, dead once.
    if (/per subject/.test(description)) return { kind: 'stored' }
    if (/maximum|resource|no space/.test(description)) return { kind: 'full', problem }
  }
  if (errorCode === WRONG_LAST_SEQUENCE) return { kind: 'gone', problem }
  if (FULL.has(errorCode)) return { kind: 'full', problem }
  if (code === REFUSED_STATUS) return { kind: 'refused', problem }
  return { kind: 'again', wait: true, problem }
}
