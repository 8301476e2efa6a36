/**
 * The outcome of tasks whose site is left alone: deferred like any other, in the ledger before it is told, and nothing was sent.
 * It counts as an attempt, so that they are tried less often the longer the site is away.
 */
import type { MailOut } from '@postbus/contracts'

import type { Trouble } from '../lanes/site-news.ts'
import { commitOutcome, outcomeOf, type SettlePorts } from './settle.ts'
import type { Outcome } from './outcome.ts'
import type { RetrySchedule } from './retry-schedule.ts'

/** Who was suspended together comes back spread over this part of the time until the site is tried. */
const SPREAD = 0.2
/** A status holds no more. */
const MAX_REASON = 2000

/** @param until the site is tried again then; nobody comes back before. @returns an outcome per task, each in the ledger */
export async function suspend(
  tasks: readonly MailOut[],
  { status, reason }: Trouble,
  until: Date,
  ports: SettlePorts,
  schedule: RetrySchedule,
): Promise<Outcome[]> {
  const now = ports.now()
  return Promise.all(
    tasks.map(async (task) => {
      const suspended = {
        kind: 'deferred',
        status,
        reason: `Delivery suspended: ${reason}`.slice(0, MAX_REASON),
      } as const
      const notBefore = until.getTime() + SPREAD * ports.random() * (until.getTime() - now.getTime())
      const outcome = outcomeOf(
        task,
        suspended,
        { now, random: ports.random(), expiresAt: ports.expiryOf(task), notBefore: new Date(notBefore) },
        schedule,
      )
      return commitOutcome(task, outcome, ports.ledger)
    }),
  )
}
