/** From what happened to a recipient to its outcome, and from there into the ledger. */
import type { MailOut } from '@postbus/contracts'

import type { RecipientOutcome } from './deliver.ts'
import type { Ledger } from './ledger.ts'
import type { Outcome } from './outcome.ts'
import { nextAttemptAt, type RetrySchedule } from './retry-schedule.ts'

export interface SettlePorts {
  ledger: Pick<Ledger, 'commit'>
  now(): Date
  random(): number
}

/** @param at when it happened; a deferred one is not tried again before `notBefore`, unless it expires sooner */
export function outcomeOf(
  { attempt, expiresAt, lastReply, via }: MailOut,
  result: RecipientOutcome,
  { now, random, notBefore = now }: { now: Date; random: number; notBefore?: Date },
  schedule: RetrySchedule,
): Outcome {
  const at = now.toISOString()
  if (result.kind !== 'deferred') return { ...result, at }
  const { retry, ...said } = result
  const expires = new Date(expiresAt)
  const next = nextAttemptAt(schedule, { attempt, expiresAt: expires, retry }, now, random)
  if (next === null) {
    // RFC 3463 §3.5: 4.4.7, delivery time expired. What was said last stays with it, also when nobody could be spoken to since.
    const earlier = said.reply === undefined && lastReply !== undefined ? { reply: lastReply } : {}
    return { ...said, ...earlier, kind: 'expired', at, status: '4.4.7' }
  }
  const due = Math.min(expires.getTime(), Math.max(next.getTime(), notBefore.getTime()))
  return { ...said, at, nextAttemptAt: new Date(due).toISOString(), ...(via !== undefined && { via }) }
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
