/**
 * One attempt for the tasks of one message that have one route: the transaction, or what a rule says instead of it; then the
 * ledger, and only then the outcomes.
 */
import type { MailOut } from '@postbus/contracts'

import type { Transacted } from '../lanes/scheduler.ts'
import type { NextHopWay, Route } from '../routing/route.ts'
import type { Delivered } from './deliver.ts'
import type { Outcome } from './outcome.ts'
import type { RetrySchedule } from './retry-schedule.ts'
import { commitOutcome, type Ended, outcomeOf, type SettlePorts } from './settle.ts'

export interface AttemptPorts extends SettlePorts {
  /** The transaction. */
  deliver(tasks: readonly [MailOut, ...MailOut[]], route: HostRoute): Promise<Delivered>
}

/** A route that leads to hosts. */
export type HostRoute = Route & { way: NextHopWay }

/** Tasks with the same group can be one transaction: whatever MAIL says is the same for all of them. */
export function groupOf({ queueId, reversePath, envid, ret }: MailOut): string {
  return JSON.stringify([queueId, reversePath, envid, ret])
}

/** Whose turn it is inside a site. */
export const submitterOf = ({ submitter, reversePath }: MailOut): string => submitter ?? reversePath

/** @returns what was learned of the site, as soon as it was spoken to; settling gives an outcome per task, each in the ledger */
export async function attempt(
  tasks: readonly MailOut[],
  route: Route,
  ports: AttemptPorts,
  schedule: RetrySchedule,
): Promise<Transacted<Outcome>> {
  const [first, ...rest] = tasks
  if (first === undefined) return { news: { kind: 'well' }, settle: async () => [] }
  const decided = decidedBy(route)
  const begun = ports.now()
  const { outcomes: results, news } =
    'way' in decided ? await ports.deliver([first, ...rest], decided) : sameForAll(tasks, decided)
  const now = ports.now()
  const tookMs = Math.max(0, now.getTime() - begun.getTime())
  const settled = async (task: MailOut): Promise<Outcome> => {
    const result = results.get(task)
    if (result === undefined) throw new Error(`no outcome for ${task.queueId} ${task.n}`)
    const times = {
      ...{ now, random: ports.random(), expiresAt: ports.expiryOf(task) },
      // A rule takes no time.
      ...('way' in decided && { tookMs }),
    }
    return commitOutcome(task, outcomeOf(task, result, times, schedule), ports.ledger)
  }
  return { news, settle: () => Promise.all(tasks.map(settled)) }
}

/** What the rule says without asking any host, or the route to the hosts. */
function decidedBy({ way, ...route }: Route): Ended | HostRoute {
  const rule = `transport ${route.rule}`
  if (way.kind === 'discard') return { kind: 'discarded', rule }
  if (way.kind === 'hold') return { kind: 'held', rule: `${rule}: ${way.reason}` }
  if (way.kind === 'fail') return { kind: 'failed', status: way.status, reason: way.reason, rule }
  return { ...route, way }
}

const sameForAll = (tasks: readonly MailOut[], ended: Ended) =>
  ({ outcomes: new Map(tasks.map((task) => [task, ended])), news: { kind: 'well' } }) as const
