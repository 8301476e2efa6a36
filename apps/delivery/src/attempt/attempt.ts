/**
 * One attempt for the tasks of one message that go to one site: the ledger's word where it has one, else the transaction,
 * then the ledger, and only then the outcome.
 */
import type { MailOut } from '@postbus/contracts'

import { deliver, type DeliverPorts, type RecipientOutcome, type Transaction } from './deliver.ts'
import type { Ledger } from './ledger.ts'
import type { Outcome } from './outcome.ts'
import { nextAttemptAt, type RetrySchedule } from './retry-schedule.ts'

export interface AttemptPorts extends DeliverPorts {
  ledger: Pick<Ledger, 'commit'>
  now(): Date
  random(): number
}

/** Tasks with the same group can be one transaction: parameters of MAIL, and of RCPT, which the client library gives to all alike. */
export function groupOf({ queueId, reversePath, original }: MailOut): string {
  return JSON.stringify([queueId, reversePath, original.orcpt, original.notify])
}

/** @returns an outcome per task, in order, each in the ledger. */
export async function attempt(
  tasks: readonly MailOut[],
  ports: AttemptPorts,
  schedule: RetrySchedule,
): Promise<Outcome[]> {
  const [first] = tasks
  if (first === undefined) return []
  const outcomes = await deliver(transactionOf(first, tasks), ports)
  const now = ports.now()
  return Promise.all(
    tasks.map(async (task) => {
      const outcome = outcomeOf(task, outcomes.get(task.forwardPath), now, ports, schedule)
      const { queueId, n, attempt, incarnation } = task
      // Before anything on the bus: from here on a repeated task is answered, not delivered again.
      await ports.ledger.commit({ queueId, n, attempt, incarnation, outcome })
      return outcome
    }),
  )
}

function transactionOf(
  { site, reversePath, size, body, smtputf8, envid, ret, original }: MailOut,
  tasks: readonly MailOut[],
): Transaction {
  return {
    site,
    reversePath,
    forwardPaths: [...new Set(tasks.map(({ forwardPath }) => forwardPath))],
    size,
    eightBit: body === '8BITMIME',
    smtputf8,
    dsn: { envid, ret, notify: original.notify, orcpt: original.orcpt },
  }
}

function outcomeOf(
  task: MailOut,
  result: RecipientOutcome | undefined,
  now: Date,
  { random }: AttemptPorts,
  schedule: RetrySchedule,
): Outcome {
  const at = now.toISOString()
  if (result === undefined) throw new Error(`no outcome for ${task.queueId} ${task.n}`)
  if (result.kind === 'relayed') return { ...result, at }
  const { kind, status, reason, reply, mxHost } = result
  const said = { at, status, reason, ...(reply !== undefined && { reply }), ...(mxHost !== undefined && { mxHost }) }
  if (kind === 'failed') return { kind: 'failed', ...said }
  const next = nextAttemptAt(schedule, { attempt: task.attempt, expiresAt: new Date(task.expiresAt) }, now, random())
  // RFC 3463 §3.5: 4.4.7, delivery time expired.
  if (next === null) return { kind: 'expired', ...said, status: '4.4.7' }
  return { kind: 'deferred', ...said, nextAttemptAt: next.toISOString() }
}
