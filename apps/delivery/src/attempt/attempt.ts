/**
 * One attempt for the tasks of one message on one route: what the rule says or the transaction, then the ledger, and only then
 * the outcomes.
 */
import type { MailOut } from '@postbus/contracts'

import { expiryOf } from '../routing/route-of.ts'
import type { NextHopWay, Route } from '../routing/route.ts'
import type { RecipientOutcome } from './deliver.ts'
import type { Ledger } from './ledger.ts'
import type { Outcome } from './outcome.ts'
import { nextAttemptAt, type RetrySchedule } from './retry-schedule.ts'

export interface AttemptPorts {
  ledger: Pick<Ledger, 'commit'>
  /** The transaction. */
  deliver(tasks: readonly [MailOut, ...MailOut[]], route: HostRoute): Promise<Map<MailOut, RecipientOutcome>>
  now(): Date
  random(): number
}

/** A route that leads to hosts. */
export type HostRoute = Route & { way: NextHopWay }

/** Tasks with the same group can be one transaction: whatever MAIL says is the same for all of them. */
export function groupOf({ queueId, reversePath, envid, ret }: MailOut): string {
  return JSON.stringify([queueId, reversePath, envid, ret])
}

/** @returns an outcome per task, in order, each in the ledger. */
export async function attempt(
  tasks: readonly MailOut[],
  route: Route,
  ports: AttemptPorts,
  schedule: RetrySchedule,
): Promise<Outcome[]> {
  const [first, ...rest] = tasks
  if (first === undefined) return []
  const all = [first, ...rest] as const
  const decided = decidedBy(route)
  const results = 'way' in decided ? await ports.deliver(all, decided) : new Map(all.map((task) => [task, decided]))
  const now = ports.now()
  return Promise.all(
    tasks.map(async (task) => {
      const result = results.get(task)
      if (result === undefined) throw new Error(`no outcome for ${task.queueId} ${task.n}`)
      const outcome = outcomeOf(
        task,
        result,
        { now, expiresAt: expiryOf(task, route.policy), random: ports.random() },
        schedule,
      )
      const { queueId, n, attempt, incarnation } = task
      // Before anything on the bus: from here on a repeated task is answered, not delivered again.
      await ports.ledger.commit({ queueId, n, attempt, incarnation, outcome })
      return outcome
    }),
  )
}

type Decided = { kind: 'held' | 'discarded'; rule: string } | Extract<RecipientOutcome, { kind: 'failed' }>

/** What the rule says without asking any host, or the route to the hosts. */
function decidedBy({ way, ...route }: Route): Decided | HostRoute {
  const rule = `transport ${route.rule}`
  if (way.kind === 'discard') return { kind: 'discarded', rule }
  if (way.kind === 'hold') return { kind: 'held', rule: `${rule}: ${way.reason}` }
  if (way.kind === 'fail') return { kind: 'failed', status: way.status, reason: way.reason, rule }
  return { ...route, way }
}

function outcomeOf(
  { attempt }: MailOut,
  result: RecipientOutcome | Decided,
  { now, expiresAt, random }: { now: Date; expiresAt: Date; random: number },
  schedule: RetrySchedule,
): Outcome {
  const at = now.toISOString()
  if (result.kind !== 'deferred') return { ...result, at }
  const next = nextAttemptAt(schedule, { attempt, expiresAt }, now, random)
  // RFC 3463 §3.5: 4.4.7, delivery time expired. What was said last stays with it.
  if (next === null) return { ...result, kind: 'expired', at, status: '4.4.7' }
  return { ...result, at, nextAttemptAt: next.toISOString() }
}
