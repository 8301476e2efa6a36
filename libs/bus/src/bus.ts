/**
 * What a service can do on the bus. Services see only this; NATS stays inside libs/bus.
 *
 * Order everywhere: do the work durably → publish what follows and await it → return `done` (which acknowledges what came).
 */
import type {
  EventContract,
  HintContract,
  Party,
  RequestContract,
  RowsContract,
  SurveyContract,
} from '@postbus/contracts'
import type { Logger } from 'pino'
import type { z } from 'zod'

/** What became of one event. A throw means "we do not know": it is tried again. */
export type Disposition =
  | { kind: 'done' }
  /** Deterministically impossible. Copied to MAIL_DEAD, acknowledged there, and only then taken off its stream. */
  | { kind: 'reject'; reason: string }

export interface EventContext {
  log: Logger
  /** 1 at the first delivery. */
  deliveries: number
  /** Aborted when the consumption stops; a handler that waits should give up and throw. */
  signal: AbortSignal
}

export type Handler<S extends z.ZodType> = (event: z.output<S>, context: EventContext) => Promise<Disposition>

export interface ConsumeOptions {
  /** Events handled at once; also the bound of what is pulled ahead. */
  maxInFlight: number
  tokens?: Tokens
}

export interface Stoppable {
  /** Takes nothing new, waits for what is in hand (bounded by the drain deadline), gives back the rest at once. */
  stop(): Promise<void>
}

export interface Consuming extends Stoppable {
  /**
   * Takes nothing new and gives back what waits, as `stop` does, but what is being worked on stays in hand until it is done, however
   * long that takes: whoever consumes next does not get it. Resolves then; a later `stop` sets it the drain deadline.
   */
  drain(): Promise<void>
}

export interface AnswerContext {
  log: Logger
  /** The asker's deadline has passed, or it went away: stop working. */
  signal: AbortSignal
}

export interface Row<R> {
  row: R
  /** Byte strings that belong to the row; their meaning is the contract's. */
  bytes?: Uint8Array[]
}

/** A message found on its subject. The sequence is its own for ever: no other message of the stream has or had it. */
export interface Found<E> {
  event: E
  sequence: number
}

/** Values for `{token}` places of a contract's subject, durable or filter, e.g. `{ lane: '07', shard: '0' }`. */
export type Tokens = Readonly<Record<string, string>>

export interface PublishOptions {
  /** Tries go on with the same message id until then. Default 20 s: longer than a leader election. */
  deadlineMs?: number
  /**
   * Publish as a schedule that fires into `target` when so much time has passed as lies until `at` by this process' clock; only for
   * contracts whose stream has schedules.
   */
  schedule?: { at: Date; target: string }
  /**
   * A schedule of the same stream that goes in the same step. With a sequence only while it is still that message: otherwise
   * nothing is stored, and ScheduleGone says so. Without one whatever is there goes, also if nothing is.
   */
  cancels?: { subject: string; sequence?: number }
}

export interface SurveyOptions<Answer> {
  /** Nobody is waited for longer. Default 3 s. */
  waitMs?: number
  /** All that must come have come; others may still. Default: never, so that all the time is waited. */
  enough?(answers: readonly Answer[]): boolean
}

export interface Bus {
  /**
   * Resolves when the stream has the event (or had it: same message id). The publication carries `traceparent` and the queue id.
   * @throws BusFull the stream or the account is at its limit; nothing was stored
   * @throws BusUnavailable no confirmation until the deadline; the event may or may not be stored
   * @throws ScheduleGone what it cancels is not there any more
   * @throws BusRefused never to be stored; ZodError when the event does not match its contract
   */
  publish<S extends z.ZodType>(contract: EventContract<S>, event: z.input<S>, options?: PublishOptions): Promise<void>
  /** Handles events until stopped. Re-creates itself when its consumer or stream went away and came back. */
  consume<S extends z.ZodType>(
    contract: EventContract<S>,
    party: string,
    options: ConsumeOptions,
    handler: Handler<S>,
  ): Promise<Consuming>
  /**
   * @throws RequestRefused with a code of the contract
   * @throws BusUnavailable nobody answers, or not in time; the work may have been done
   */
  request<I extends z.ZodType, O extends z.ZodType>(
    contract: RequestContract<I, O>,
    input: z.input<I>,
    options?: { timeoutMs?: number; signal?: AbortSignal; tokens?: Tokens },
  ): Promise<z.output<O>>
  /**
   * Rows as they come, with credit: a reader that stops reading stops the answerer, and nobody else. Throws as `request` does;
   * `timeoutMs` bounds the answerer's silence, not the whole.
   */
  rows<I extends z.ZodType, R extends z.ZodType>(
    contract: RowsContract<I, R>,
    input: z.input<I>,
    options?: { timeoutMs?: number; signal?: AbortSignal },
  ): AsyncIterable<Required<Row<z.output<R>>>>
  /** Throw RequestRefused for a refusal of the contract; anything else reaches the asker as BusUnavailable. */
  answer<I extends z.ZodType, O extends z.ZodType>(
    contract: RequestContract<I, O>,
    handler: (input: z.output<I>, context: AnswerContext) => Promise<z.input<O>>,
    options?: { tokens?: Tokens },
  ): Promise<Stoppable>
  answerRows<I extends z.ZodType, R extends z.ZodType>(
    contract: RowsContract<I, R>,
    handler: (input: z.output<I>, context: AnswerContext) => AsyncIterable<Row<z.input<R>>>,
  ): Promise<Stoppable>
  /** What every copy that answers says; who does not answer in time is not in it. @throws BusUnavailable there is no connection */
  survey<I extends z.ZodType, O extends z.ZodType>(
    contract: SurveyContract<I, O>,
    input: z.input<I>,
    options?: SurveyOptions<z.output<O>>,
  ): Promise<z.output<O>[]>
  /** Answers for this copy. @param answer null: the question is not for it */
  answerSurvey<I extends z.ZodType, O extends z.ZodType>(
    contract: SurveyContract<I, O>,
    answer: (input: z.output<I>) => Promise<z.input<O> | null>,
  ): Promise<Stoppable>
  /** Sent once, perhaps lost. */
  hint<S extends z.ZodType>(contract: HintContract<S>, value: z.input<S>): void
  /** `tokens` narrow the subject, e.g. `{ account }`; without them every hint of the contract. */
  listen<S extends z.ZodType>(
    contract: HintContract<S>,
    handler: (value: z.output<S>) => void,
    tokens?: Tokens,
  ): Stoppable
  /** Resolves when the streams of these contracts exist. Nobody is ready before; the resident provisioner creates them. */
  provisioned(contracts: readonly EventContract[], signal: AbortSignal): Promise<void>
  /**
   * Waits until the lease is ours. Held by renewal until released or lost; at most one holder at a time, apart from a paused one.
   * `patienceMs`: it is taken only once it has been free for so long, so that somebody else may come first. Default: at once.
   */
  acquireLease(name: string, options: { ttlMs: number; patienceMs?: number; signal: AbortSignal }): Promise<Lease>
  /** Whether a stream holds a message on exactly this subject. For custody. */
  holds(contract: EventContract, subject: string, shard?: number): Promise<boolean>
  /** Which stream this is and how far it has come: another creation time, or a lower sequence, is another stream. For custody. */
  streamState(contract: EventContract, shard?: number): Promise<StreamState>
  /** How far our own consumer of it has come. @throws BusUnavailable the bus cannot say */
  readingState(contract: EventContract, party: Party): Promise<ReadingState>
  /** Every subject on which a stream holds a message, as of about now, in pages. For custody. */
  subjects(contract: EventContract, shard?: number): AsyncIterable<string[]>
  /**
   * The last message on exactly this subject, as the stream's leader has it. Many may be asked for at once.
   * @throws BusUnavailable the bus cannot say; ZodError what is there does not match the contract
   */
  lookUp<S extends z.ZodType>(
    contract: EventContract<S>,
    subject: string,
    shard?: number,
  ): Promise<Found<z.output<S>> | null>
  /** Takes one message off its stream, for good. Resolves to whether it was still there. */
  remove(contract: EventContract, sequence: number): Promise<boolean>
  /** What the server has of what the contracts name. For operators. @throws BusUnavailable */
  inspect(): Promise<BusReport>
  /** Called after every reconnect: hints may have been missed. */
  onReconnect(callback: () => void): Stoppable
  readonly connected: boolean
  close(): Promise<void>
}

export interface StreamState {
  createdAt: string
  lastSequence: number
}

export interface ReadingState extends StreamState {
  /** All up to here is done with, or was never to be given to this consumer. */
  readTo: number
}

export interface BusReport {
  server: { name: string; version: string }
  roundTripMs: number
  /** The server's clock; null if it did not say. */
  time: string | null
  /** All streams together. */
  storage: { bytes: number; maxBytes: number | null }
  streams: StreamReport[]
}

export interface Standing {
  missing: boolean
  /** Settings that are not what the contracts say. */
  differs: string[]
}

export interface StreamReport extends Standing {
  name: string
  messages: number
  bytes: number
  maxBytes: number | null
  /** When its oldest message was stored. */
  firstAt: string | null
  consumers: ConsumerReport[]
}

export interface ConsumerReport extends Standing {
  name: string
  /** Not yet given to anybody. */
  pending: number
  /** Given to somebody, and neither acknowledged nor given back. */
  inHand: number
  redelivered: number
  /** Requests for more that wait: somebody reads. */
  pulls: number
  lastDeliveredAt: string | null
  lastAckAt: string | null
}

export interface Lease {
  /** Grows with every holder: what writes are fenced by. */
  readonly revision: number
  /** Aborted when somebody else may hold it. */
  readonly lost: AbortSignal
  release(): Promise<void>
}

/** The stream or the account is at its limit. Nothing was stored. */
export class BusFull extends Error {
  override readonly name = 'BusFull'
}

/** The bus understood and will never take it: too large, not permitted, a schedule into another stream. A fault of ours. */
export class BusRefused extends Error {
  override readonly name = 'BusRefused'
}

/**
 * The schedule to be cancelled is not there any more: it has fired, or another took its place, or an earlier try of this very
 * publication went through and its confirmation got lost.
 */
export class ScheduleGone extends Error {
  override readonly name = 'ScheduleGone'
}

/** No answer or no confirmation in time. Whether it happened is not known. */
export class BusUnavailable extends Error {
  override readonly name = 'BusUnavailable'
}

/** The answerer understood and refused. `code` is one of the contract's refusals. */
export class RequestRefused extends Error {
  override readonly name = 'RequestRefused'
  readonly code: string

  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}

/**
 * A handler throws this when something it needs is down. The consumer stops pulling, keeps what it has in hand alive and
 * tries again with growing pauses; nothing is counted against the message.
 */
export class DependencyUnavailable extends Error {
  override readonly name = 'DependencyUnavailable'
}
