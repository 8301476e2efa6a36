/**
 * The attempt ledger: the last outcome of every task. Written right after the peer's answer and before any step on the bus, so
 * that a task that comes again is answered from here and not delivered twice — but for the moment between the peer's 250 and
 * this write (RFC 1047).
 */
import type { QueueId, RecipientKey } from '@postbus/contracts'

import { isEnd, type Outcome } from './outcome.ts'

/** The ledger cannot be read or written now: a full, busy or damaged disk. Nothing is wrong with any task. */
export class LedgerUnavailable extends Error {
  override readonly name = 'LedgerUnavailable'
}

export interface LedgerKey {
  queueId: QueueId
  n: RecipientKey
}

export interface LedgerEntry extends LedgerKey {
  attempt: number
  incarnation: number
  outcome: Outcome
}

export interface Ledger {
  /** @throws LedgerUnavailable */
  find(key: LedgerKey): Promise<LedgerEntry | null>
  /**
   * Durable when it resolves. Replaces the entry of an earlier attempt. An ended one stays, but for mail that did arrive: what
   * the next host took is not undone by what was decided meanwhile.
   * @throws LedgerUnavailable nothing was stored, or nobody knows
   */
  commit(entry: LedgerEntry): Promise<void>
  /** Removes at most `limit` entries older than `before`; returns how many. */
  prune(before: Date, limit: number): Promise<number>
  close(): Promise<void>
}

/** The task comes too late to be attempted: what follows from the entry is said again. */
export const answers = ({ outcome, attempt }: LedgerEntry, task: { attempt: number }): boolean =>
  isEnd(outcome) || attempt >= task.attempt
