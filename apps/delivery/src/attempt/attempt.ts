/**
 * One attempt for the tasks of one message that go to one site: the transaction, then the ledger, and only then the outcomes.
 */
import type { MailOut } from '@postbus/contracts'

import type { SiteNews } from '../lanes/site-news.ts'
import { deliver, type DeliverPorts, type RecipientOutcome } from './deliver.ts'
import type { Ledger } from './ledger.ts'
import type { Outcome } from './outcome.ts'
import { nextAttemptAt, type RetrySchedule } from './retry-schedule.ts'

export interface AttemptPorts extends DeliverPorts {
  ledger: Pick<Ledger, 'commit'>
  now(): Date
  random(): number
}

/** Tasks with the same group can be one transaction: whatever MAIL says is the same for all of them. */
export function groupOf({ queueId, reversePath, envid, ret }: MailOut): string {
  return JSON.stringify([queueId, reversePath, envid, ret])
}

export interface Attempted {
  /** One per task, in order, each in the ledger. */
  outcomes: Outcome[]
  news: SiteNews
}

export async function attempt(
  tasks: readonly MailOut[],
  ports: AttemptPorts,
  schedule: RetrySchedule,
): Promise<Attempted> {
  const [first, ...rest] = tasks
  if (first === undefined) return { outcomes: [], news: { kind: 'well' } }
  const { outcomes: results, news } = await deliver([first, ...rest], ports)
  const now = ports.now()
  const outcomes = await Promise.all(
    tasks.map(async (task) => {
      const result = results.get(task)
      if (result === undefined) throw new Error(`no outcome for ${task.queueId} ${task.n}`)
      const outcome = outcomeOf(task, result, now, ports.random(), schedule)
      const { queueId, n, attempt, incarnation } = task
      // Before anything on the bus: from here on a repeated task is answered, not delivered again.
      await ports.ledger.commit({ queueId, n, attempt, incarnation, outcome })
      return outcome
    }),
  )
  return { outcomes, news }
}

function outcomeOf(
  { attempt, expiresAt, lastReply, via }: MailOut,
  result: RecipientOutcome,
  now: Date,
  random: number,
  schedule: RetrySchedule,
): Outcome {
  const at = now.toISOString()
  if (result.kind !== 'deferred') return { ...result, at }
  const { retry, ...said } = result
  const next = nextAttemptAt(schedule, { attempt, expiresAt: new Date(expiresAt), retry }, now, random)
  if (next !== null) return { ...said, at, nextAttemptAt: next.toISOString(), ...(via !== undefined && { via }) }
  // RFC 3463 §3.5: 4.4.7, delivery time expired. What was said last stays with it, also when nobody could be spoken to since.
  const earlier = said.reply === undefined && lastReply !== undefined ? { reply: lastReply } : {}
  return { ...said, ...earlier, kind: 'expired', at, status: '4.4.7' }
}
