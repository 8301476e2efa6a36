/** What goes between the process and its threads that speak with other hosts. */
import { DependencyUnavailable } from '@postbus/bus'
import type { MailOut, QueueId } from '@postbus/contracts'
import type { SigningKey } from '@postbus/mail-auth'
import { CorruptRecord, NoSuchRecord } from '@postbus/spool'

import type { HostRoute } from '../../attempt/attempt.ts'
import type { RecipientOutcome } from '../../attempt/deliver.ts'
import type { Destination } from '../../attempt/destination.ts'
import type { DeliveryConfig } from '../../config.ts'
import type { SiteNews } from '../../lanes/site-news.ts'
import type { TransactionMetrics } from '../../transaction.ts'

/** What a thread is started with. */
export interface ThreadData {
  config: DeliveryConfig
}

/** One transaction to do. */
export interface Errand {
  id: number
  tasks: readonly [MailOut, ...MailOut[]]
  route: HostRoute
  destination: Destination
  /** Of the signing keys, by now. */
  generation: number
}

/** What became of one. */
export type Result =
  /** Outcomes in the order of the tasks. */
  | { kind: 'done'; id: number; outcomes: readonly RecipientOutcome[]; news: SiteNews }
  | { kind: 'failed'; id: number; failure: Failure }

/** Errands, and results, of one turn of an event loop go together: each message between threads costs both of them. */
export type ToThread =
  | { kind: 'transact'; errands: readonly Errand[] }
  | { kind: 'keys'; id: number; keys: readonly SigningKey[] }
  | { kind: 'noKeys'; id: number; failure: Failure }
  | { kind: 'close' }

export type FromThread =
  | { kind: 'results'; results: readonly Result[]; counted: readonly Counted[] }
  | { kind: 'keysOf'; id: number; domains: readonly string[] }

/** What happened since the last answer, for the metrics of the process. */
export type Counted = {
  [Name in keyof TransactionMetrics]: { name: Name; with: Parameters<TransactionMetrics[Name]> }
}[keyof TransactionMetrics]

/** Errors lose their class on the way between threads; this is what is left of one. */
export interface Failure {
  name: string
  message: string
  stack: string | undefined
  /** Whose record is corrupt. */
  queueId?: QueueId
}

export function failureOf(error: unknown): Failure {
  const { name, message, stack } = error instanceof Error ? error : new Error(String(error))
  return { name, message, stack, ...(error instanceof CorruptRecord && { queueId: error.queueId }) }
}

/** With the class again of those that decide what becomes of a task. */
export function errorOf(failure: Failure): Error {
  const error = classed(failure)
  if (failure.stack !== undefined) error.stack = failure.stack
  return error
}

function classed({ name, message, queueId }: Failure): Error {
  if (name === 'NoSuchRecord') return new NoSuchRecord(message)
  if (name === 'CorruptRecord' && queueId !== undefined) return new CorruptRecord(queueId, message)
  if (name === 'DependencyUnavailable') return new DependencyUnavailable(message)
  return new Error(message)
}
