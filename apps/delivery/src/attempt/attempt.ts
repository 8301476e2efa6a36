/**
 * One attempt for the tasks of one message that go to one site: the transaction, then the ledger, and only then the outcomes.
 */
import type { MailOut } from '@postbus/contracts'

import type { Transacted } from '../lanes/scheduler.ts'
import { deliver, type DeliverPorts } from './deliver.ts'
import type { Outcome } from './outcome.ts'
import type { RetrySchedule } from './retry-schedule.ts'
import { commitOutcome, outcomeOf, type SettlePorts } from './settle.ts'

export interface AttemptPorts extends DeliverPorts, SettlePorts {}

/** Tasks with the same group can be one transaction: whatever MAIL says is the same for all of them. */
export function groupOf({ queueId, reversePath, envid, ret }: MailOut): string {
  return JSON.stringify([queueId, reversePath, envid, ret])
}

/** @returns an outcome per task, in order, each in the ledger; and what was learned of the site. */
export async function attempt(
  tasks: readonly MailOut[],
  ports: AttemptPorts,
  schedule: RetrySchedule,
): Promise<Transacted<Outcome>> {
  const [first, ...rest] = tasks
  if (first === undefined) return { outcomes: [], news: { kind: 'well' } }
  const { outcomes: results, news } = await deliver([first, ...rest], ports)
  const now = ports.now()
  const outcomes = await Promise.all(
    tasks.map(async (task) => {
      const result = results.get(task)
      if (result === undefined) throw new Error(`no outcome for ${task.queueId} ${task.n}`)
      return commitOutcome(task, outcomeOf(task, result, { now, random: ports.random() }, schedule), ports.ledger)
    }),
  )
  return { outcomes, news }
}
