/** From what happened to a recipient to its outcome, and from there into the ledger. */
import type { MailOut } from '@postbus/contracts'

import type { RecipientOutcome } from './deliver.ts'
import type { Ledger } from './ledger.ts'
import { triesBefore } from './next.ts'
import type { Outcome } from './outcome.ts'
import { nextAttemptAt, type RetrySchedule } from './retry-schedule.ts'

/** Without any host: what a rule decides. */
export type Ended = { kind: 'held' | 'discarded'; rule: string } | Extract<RecipientOutcome, { kind: 'failed' }>

export interface SettlePorts {
  ledger: Pick<Ledger, 'commit'>
  /** When the recipient has waited long enough. */
  expiryOf(task: MailOut): Date
  now(): Date
  random(): number
}

interface Times {
  now: Date
  random: number
  expiresAt: Date
  notBefore?: Date
  tookMs?: number
}

/**
 * @param at when it happened; a deferred one is not tried again before `notBefore`, unless it expires sooner; `tookMs`: how long hosts were
 *   spoken to
 */
export function outcomeOf(
  { lastReply, via, ...task }: Pick<MailOut, 'attempt' | 'tries' | 'lastReply' | 'via'>,
  result: RecipientOutcome | Ended,
  { now, random, expiresAt, notBefore = now, tookMs }: Times,
  schedule: RetrySchedule,
): Outcome {
  const at = now.toISOString()
  if (result.kind === 'held' || result.kind === 'discarded') return { ...result, at }
  const took = tookMs === undefined ? {} : { tookMs }
  if (result.kind !== 'deferred') return { ...result, at, ...took }
  const { retry, ...said } = result
  const next = nextAttemptAt(schedule, { attempt: triesBefore(task) + 1, expiresAt, retry }, now, random)
  if (next === null) {
    // RFC 3463 §3.5: 4.4.7, delivery time expired. What was said last stays with it, also when nobody could be spoken to since.
    const earlier = said.reply === undefined && lastReply !== undefined ? { reply: lastReply } : {}
    return { ...said, ...earlier, kind: 'expired', at, ...took, status: '4.4.7' }
  }
  const due = Math.min(expiresAt.getTime(), Math.max(next.getTime(), notBefore.getTime()))
  return { ...said, at, ...took, nextAttemptAt: new Date(due).toISOString(), ...(via !== undefined && { via }) }
}

/** Before anything on the bus: from here on a repeated task is answered, not delivered again. */
export async function commitOutcome(
  { queueId, n, attempt, incarnation }: MailOut,
  outcome: Outcome,
  ledger: Pick<Ledger, 'commit'>,
): Promise<Outcome> {
  await ledger.commit({ queueId, n, attempt, incarnation, outcome })
  return outcome
}
