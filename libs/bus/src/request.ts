/**
 * Asking one question and answering it. Core NATS, nothing stored: an answer that does not come means the work may have been
 * done or not.
 *
 * The asker sends how long it will wait, not until when: clocks of two machines need not agree.
 */
import { headers, type Msg, type MsgHdrs, type Subscription } from '@nats-io/transport-node'
import { subjectFilter, type RequestContract, type RowsContract } from '@postbus/contracts'
import type { Logger } from 'pino'
import type { z } from 'zod'

import { BusUnavailable, RequestRefused, type AnswerContext, type Stoppable, type Tokens } from './bus.ts'
import type { Connection } from './connection.ts'
import type { AnswerOutcome, BusMetrics, RequestOutcome } from './metrics.ts'
import { within } from './pause.ts'
import { semaphore } from './semaphore.ts'
import { inTrace, nextTraceparent } from './trace.ts'

/** The asker gives up after so many milliseconds. */
export const TIMEOUT_HEADER = 'Mail-Timeout-Ms'
/** A code of the contract; the payload is its text. */
export const REFUSAL_HEADER = 'Mail-Refusal'
/** The answerer failed; the payload says only that. */
export const FAULT_HEADER = 'Mail-Fault'

/** Answers worked on at once, per contract and process; more wait, and drop out when their asker has given up. */
const MAX_ANSWERING = 256
/** More begun or waiting than this are turned away at once, so that a stalled answerer does not fill its memory. */
const MAX_OPEN = 4_096
/** What the way there and back may take beyond the answerer's own time. */
const SHORTEST_TRY_MS = 1

export interface AskOptions {
  timeoutMs?: number | undefined
  signal?: AbortSignal | undefined
  /** Whom of several answerers is asked. */
  tokens?: Tokens | undefined
}

export async function request<I extends z.ZodType, O extends z.ZodType>(
  connection: Connection,
  metrics: BusMetrics,
  contract: RequestContract<I, O>,
  input: z.input<I>,
  { timeoutMs = contract.timeoutMs, signal, tokens }: AskOptions = {},
): Promise<z.output<O>> {
  const payload = JSON.stringify(contract.input.parse(input))
  signal?.throwIfAborted()
  const started = performance.now()
  let outcome: RequestOutcome = 'unavailable'
  try {
    const message = await unlessAborted(
      ask(connection, contract, subjectOf(contract, tokens), payload, timeoutMs),
      signal,
    )
    const answer = contract.output.safeParse(tryJson(message))
    if (!answer.success)
      throw new BusUnavailable(`the answer to ${contract.name} does not match its contract`, { cause: answer.error })
    outcome = 'answered'
    return answer.data
  } catch (error) {
    if (error instanceof RequestRefused) outcome = 'refused'
    throw error
  } finally {
    metrics.requested(contract.name, outcome, (performance.now() - started) / 1000)
  }
}

/** Every place must be filled: a `*` would reach nobody, or too many. */
export function subjectOf({ name, subject }: Pick<RequestContract, 'name' | 'subject'>, tokens: Tokens = {}): string {
  const filled = subjectFilter(subject, tokens)
  if (filled.includes('*')) throw new TypeError(`${name} is asked at ${subject}, and a place of it has no value`)
  return filled
}

/** @returns an answer that is neither a refusal nor a fault */
async function ask(
  connection: Connection,
  contract: RequestContract,
  subject: string,
  payload: string,
  timeoutMs: number,
): Promise<Msg> {
  const deadline = performance.now() + timeoutMs
  if (!(await connection.whenConnected(timeoutMs)))
    throw new BusUnavailable(`${contract.name}: no connection to the bus`)
  const left = Math.max(SHORTEST_TRY_MS, Math.ceil(deadline - performance.now()))
  const outcome = await connection.ask(subject, payload, { headers: requestHeaders(left), timeoutMs: left })
  switch (outcome.kind) {
    case 'answer':
      throwUnlessAnswer(contract, outcome.message)
      return outcome.message
    case 'nobody':
      throw new BusUnavailable(`${contract.name}: nobody answers`)
    case 'denied':
      throw new BusUnavailable(`${contract.name}: this party may not ask`)
    case 'lost':
      throw new BusUnavailable(`${contract.name}: the connection broke`)
    case 'timeout':
      throw new BusUnavailable(`${contract.name}: no answer in ${timeoutMs} ms`)
  }
}

export function requestHeaders(timeoutMs: number): MsgHdrs {
  const header = headers()
  header.set(TIMEOUT_HEADER, String(timeoutMs))
  header.set('traceparent', nextTraceparent())
  return header
}

export function throwUnlessAnswer(contract: Pick<RequestContract, 'name' | 'refusals'>, message: Msg): void {
  const code = message.headers?.get(REFUSAL_HEADER)
  if (code) {
    if (contract.refusals.includes(code)) throw new RequestRefused(code, message.string() || code)
    throw new BusUnavailable(`${contract.name}: refused with ${code}, which its contract does not know`)
  }
  if (message.headers?.has(FAULT_HEADER)) throw new BusUnavailable(`${contract.name}: ${message.string()}`)
}

/** The contract's side of the answerer: `answer` and `answerRows` share the queue, the bounds and the stop. */
export interface AnswererOptions<I extends z.ZodType> {
  connection: Connection
  contract: RequestContract<I> | RowsContract<I>
  log: Logger
  metrics: BusMetrics
  drainDeadlineMs: number
  tokens?: Tokens | undefined
  /**
   * Sends whatever is the answer itself. Throws RequestRefused, or anything else for a fault. `idle` gives its place to others
   * while it waits for its asker.
   */
  respond(input: z.output<I>, message: Msg, context: AnswerContext, idle: Idle): Promise<void>
}

export type Idle = (waiting: () => Promise<void>) => Promise<void>

export function answerer<I extends z.ZodType>(options: AnswererOptions<I>): Stoppable {
  const { connection, contract, log, metrics, drainDeadlineMs, tokens, respond } = options
  const subject = subjectOf(contract, tokens)
  const slots = semaphore(MAX_ANSWERING)
  /** Whom a stop ends. AbortSignal.any would cost more than all else of a short answer. */
  const begun = new Set<AbortController>()
  let stopped = false
  const working = new Set<Promise<void>>()

  const subscription: Subscription = connection.nats.subscribe(subject, {
    queue: contract.answerer,
    callback: (err, message) => {
      if (err) return log.error({ err, subject }, 'may not answer: permissions of this party are wrong')
      const work = inTrace(message.headers?.get('traceparent'), () => one(message)).catch((error: unknown) =>
        log.error({ err: error, request: contract.name }, 'an answer could not be sent'),
      )
      working.add(work)
      void work.finally(() => working.delete(work))
    },
  })

  const idle: Idle = async (waiting) => {
    slots.release()
    try {
      await waiting()
    } finally {
      await slots.acquire()
    }
  }

  async function one(message: Msg): Promise<void> {
    const arrived = performance.now()
    const timeoutMs = Number(message.headers?.get(TIMEOUT_HEADER)) || contract.timeoutMs
    if (working.size >= MAX_OPEN) return fault(message, 'too busy')
    await slots.run(async () => {
      const left = timeoutMs - (performance.now() - arrived)
      // Nobody waits for it any more.
      if (left <= 0) return metrics.answered(contract.name, 'expired', 0)
      const started = performance.now()
      let outcome: AnswerOutcome = 'failed'
      const ending = new AbortController()
      if (stopped) ending.abort()
      begun.add(ending)
      // Rows live as long as their reader; they end by credit, not by the clock.
      const timer = contract.kind === 'request' ? setTimeout(() => ending.abort(), left) : undefined
      try {
        const input = contract.input.safeParse(tryJson(message))
        if (!input.success) {
          log.error({ request: contract.name, issues: input.error.issues }, 'request does not match its contract')
          return fault(message, 'the request does not match its contract')
        }
        await respond(input.data, message, { log, signal: ending.signal }, idle)
        outcome = 'answered'
      } catch (err) {
        if (err instanceof RequestRefused && contract.refusals.includes(err.code)) {
          outcome = 'refused'
          refuse(message, err)
        } else {
          if (!stopped) log.error({ err, request: contract.name }, 'could not answer')
          fault(message, 'the answerer failed')
        }
      } finally {
        clearTimeout(timer)
        begun.delete(ending)
        metrics.answered(contract.name, outcome, (performance.now() - started) / 1000)
      }
    })
  }

  return {
    async stop() {
      // Whoever asks from now on is served by another of the queue group, or told at once that there is none.
      await subscription.drain().catch(() => undefined)
      await within(drainDeadlineMs, Promise.all(working))
      stopped = true
      for (const ending of begun) ending.abort()
    },
  }
}

export function refuse(message: Pick<Msg, 'respond'>, { code, message: text }: RequestRefused): void {
  const header = headers()
  header.set(REFUSAL_HEADER, code)
  message.respond(text, { headers: header })
}

export function fault(message: Pick<Msg, 'respond'>, text: string): void {
  const header = headers()
  header.set(FAULT_HEADER, '1')
  message.respond(text, { headers: header })
}

export function tryJson(message: Pick<Msg, 'data'>): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(message.data))
  } catch {
    return undefined
  }
}

async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return work
  const { promise, reject } = Promise.withResolvers<never>()
  const aborted = (): void => reject(signal.reason)
  signal.addEventListener('abort', aborted, { once: true })
  try {
    return await Promise.race([work, promise])
  } finally {
    signal.removeEventListener('abort', aborted)
    work.catch(() => undefined)
  }
}
