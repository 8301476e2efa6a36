/**
 * The five kinds of thing services say to each other, and the registry that documents, provisions and
 * authorises them: events (durable, in a stream), requests (one answer), row requests (many answers in
 * binary frames, with credit), surveys (an answer of every copy) and hints (may be lost; readers ask again).
 *
 * A contract is plain data and pure functions. `libs/bus` is the only code that knows what NATS does with it.
 */
import type { z } from 'zod'

/** Everything with an identity of its own on the bus: the services, and the operator's command line. */
export const parties = [
  'submission',
  'inbound',
  'router',
  'delivery',
  'mailstore',
  'imap',
  'pop3',
  'directory',
  'custody',
  'console',
  'operator',
] as const
export type Party = (typeof parties)[number]

/** One JetStream stream. A sharded stream exists as `<name>_0` … `<name>_<shards-1>`. */
export interface StreamContract {
  readonly name: string
  readonly sharded: boolean
  /** Subject filters; `{shard}` is replaced in a sharded stream. */
  readonly subjects: readonly string[]
  /** `work`: a message is gone when its consumer acknowledged it. `kept`: until removed by name. */
  readonly retention: 'work' | 'kept'
  /** Scheduled messages live here. Such a stream must have no limits: they delete silently (ADR-51). */
  readonly schedules: boolean
  /** One message per subject; a second one is refused. */
  readonly onePerSubject: boolean
  /** A full stream refuses the publisher (452 at the edge) instead of dropping old work. Null: no limit of its own. */
  readonly maxBytes: number | null
  readonly purpose: string
}

/** A durable pull consumer of a stream. */
export interface ConsumerContract {
  readonly party: Party
  /** Durable name; `{lane}` is replaced for lane consumers. */
  readonly durable: string
  /** Subject filter inside the stream. */
  readonly filter: string
}

export interface EventContract<S extends z.ZodType = z.ZodType> {
  readonly kind: 'event'
  readonly name: string
  /** Subject with `{token}` places, for documentation and permissions. */
  readonly pattern: string
  readonly stream: StreamContract
  readonly schema: S
  readonly producers: readonly Party[]
  /** Producers that may only publish with these values in the pattern's places. */
  readonly narrow?: Partial<Record<Party, Readonly<Record<string, string>>>>
  /**
   * Producers whose events are new work, which nothing waits for: refused while the bus has little room left, so that what ends
   * work always has some.
   */
  readonly newWorkOf?: readonly Party[]
  readonly consumers: readonly ConsumerContract[]
  /** Parties that may look one up by its subject. */
  readonly lookedUpBy?: readonly Party[]
  /** Parties that may take one off its stream by name; only where a stream keeps what it has. */
  readonly removedBy?: readonly Party[]
  /** Goes by itself after so many seconds: nobody needs it for longer. */
  readonly ttlSeconds?: number
  readonly purpose: string
  /** The exact subject of one event. Tokens are ours: words, versions, ids, encoded sites. */
  subject(event: z.output<S>): string
  /** Two events with this id in common are the same message; made from the event, never from a clock. */
  messageId(event: z.output<S>): string
  /** What log lines of this event name: the queue id, where it is about one message. */
  queueId?(event: z.output<S>): string
}

export interface RequestContract<I extends z.ZodType = z.ZodType, O extends z.ZodType = z.ZodType> {
  readonly kind: 'request'
  readonly name: string
  /** With a `{token}` place where the answerer is one particular replica, e.g. the owner of a lane. */
  readonly subject: string
  readonly answerer: Party
  readonly askers: readonly Party[]
  readonly input: I
  readonly output: O
  /** Refusals the answer may carry, by code. Anything else is a fault of the answerer. */
  readonly refusals: readonly string[]
  /** How long one try may take. */
  readonly timeoutMs: number
  readonly purpose: string
}

/** Like a request, answered with any number of rows; each row may carry bytes. Flow is bounded by credit. */
export interface RowsContract<I extends z.ZodType = z.ZodType, R extends z.ZodType = z.ZodType> extends Omit<
  RequestContract<I, R>,
  'kind' | 'output'
> {
  readonly kind: 'rows'
  readonly row: R
}

/** One question to every copy of every service named; each answers for itself, or not at all. */
export interface SurveyContract<I extends z.ZodType = z.ZodType, O extends z.ZodType = z.ZodType> {
  readonly kind: 'survey'
  readonly name: string
  readonly subject: string
  readonly answerers: readonly Party[]
  readonly askers: readonly Party[]
  readonly input: I
  /** What one copy answers. */
  readonly output: O
  readonly purpose: string
}

export interface HintContract<S extends z.ZodType = z.ZodType> {
  readonly kind: 'hint'
  readonly name: string
  readonly pattern: string
  readonly schema: S
  readonly producers: readonly Party[]
  readonly consumers: readonly Party[]
  readonly purpose: string
  subject(hint: z.output<S>): string
}

export type Contract = EventContract | RequestContract | RowsContract | SurveyContract | HintContract

type Described<C, Given extends keyof C = never> = Omit<C, 'kind' | 'subject' | 'timeoutMs' | 'refusals' | Given>

export function defineEvent<S extends z.ZodType>(contract: Omit<EventContract<S>, 'kind'>): EventContract<S> {
  return { kind: 'event', ...contract }
}

/** `rpc.<answerer>.v1.<operation>` — the operation is the name after the dot; `place` is one token more, filled in by who asks. */
export function defineRequest<I extends z.ZodType, O extends z.ZodType>(
  contract: Described<RequestContract<I, O>> & { refusals?: readonly string[]; timeoutMs?: number; place?: string },
): RequestContract<I, O> {
  const { place, ...described } = contract
  const subject = place === undefined ? rpcSubject(contract.name) : `${rpcSubject(contract.name)}.{${place}}`
  return { kind: 'request', refusals: [], timeoutMs: 5000, ...described, subject }
}

export function defineRows<I extends z.ZodType, R extends z.ZodType>(
  contract: Described<RowsContract<I, R>> & { refusals?: readonly string[]; timeoutMs?: number },
): RowsContract<I, R> {
  return { kind: 'rows', refusals: [], timeoutMs: 30_000, ...contract, subject: rpcSubject(contract.name) }
}

export function defineSurvey<I extends z.ZodType, O extends z.ZodType>(
  contract: Omit<SurveyContract<I, O>, 'kind' | 'subject'>,
): SurveyContract<I, O> {
  return { kind: 'survey', ...contract, subject: rpcSubject(contract.name) }
}

export function defineHint<S extends z.ZodType>(contract: Omit<HintContract<S>, 'kind'>): HintContract<S> {
  return { kind: 'hint', ...contract }
}

function rpcSubject(name: string): string {
  const [service, operation] = name.split('.')
  return `rpc.${service}.v1.${operation}`
}
