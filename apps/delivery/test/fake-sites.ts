/** The scheduler over simulated sites and a clock moved by hand. */
import { fakeClock } from './fake-clock.ts'
import { type Scheduler, scheduler, type SchedulerOptions, type Submission } from '../src/lanes/scheduler.ts'
import type { SiteNews, Trouble } from '../src/lanes/site-news.ts'
import type { SitePolicy } from '../src/lanes/site-policy.ts'

export interface Task {
  site: string
  message: string
  to: string
  by: string
  spills?: number
}

export const well: SiteNews = { kind: 'well' }
export const refused: Trouble = { kind: 'trouble', status: '4.4.1', reason: 'no connection' }
export const busy: SiteNews = { kind: 'busy', reason: '421 too many connections' }

interface FakeSite extends Partial<SitePolicy> {
  /** How long a transaction takes. */
  ms?: number
  /** How long its outcomes take after that. */
  commitMs?: number
  news?: () => SiteNews
}

/** Simulated sites, by name; who is not named answers at once. */
export function world(fakes: Record<string, FakeSite> = {}, changes: Partial<SchedulerOptions> = {}) {
  const clock = fakeClock()
  const running = new Map<string, number>()
  const most = new Map<string, number>()
  const transactions: { at: number; site: string; to: string[] }[] = []
  /** How many transactions had begun when each was settled. */
  const settled: number[] = []
  const suspended: { to: string; until: Date; trouble: Trouble }[] = []
  const count = { spilled: 0, suspended: 0 }
  const cluster = { replicas: 1, crowded: true }
  const queue: Scheduler<Task, string> = scheduler<Task, string>(
    {
      clock,
      random: () => 0.5,
      replicas: () => cluster.replicas,
      policyOf: ({ site }) => ({ ...policyIn(fakes[site]), key: site }),
      groupOf: ({ message }) => message,
      submitterOf: ({ by }) => by,
      spillsOf: ({ spills = 0 }) => spills,
      crowded: () => cluster.crowded,
      spilled: (tasks) => void (count.spilled += tasks),
      suspended: (tasks) => void (count.suspended += tasks),
      async transact(tasks) {
        const site = tasks[0]?.site ?? ''
        const now = (running.get(site) ?? 0) + 1
        running.set(site, now)
        most.set(site, Math.max(now, most.get(site) ?? 0))
        transactions.push({ at: clock.now(), site, to: tasks.map(({ to }) => to) })
        await clock.sleep(fakes[site]?.ms ?? 0)
        running.set(site, (running.get(site) ?? 0) - 1)
        if (tasks.some(({ to }) => to === 'bad')) throw new Error('spool')
        const sent = tasks.map(({ to }) => `sent ${to}`)
        return {
          news: fakes[site]?.news?.() ?? well,
          async settle() {
            settled.push(transactions.length)
            await clock.sleep(fakes[site]?.commitMs ?? 0)
            return sent
          },
        }
      },
      async suspend(tasks, trouble, until) {
        for (const { to } of tasks) suspended.push({ to, until, trouble })
        return tasks.map(({ to }) => `suspended ${to}`)
      },
    },
    {
      initialConcurrency: 2,
      concurrency: 4,
      maxRecipients: 2,
      transactions: 100,
      gatherMs: 10,
      busyPauseMs: 5000,
      breaker: { troubles: 3, firstPauseMs: 60_000, longestPauseMs: 240_000 },
      spill: { afterMs: 10_000, minMs: 30_000, maxMs: 600_000 },
      ...changes,
    },
  )
  let serial = 0
  /** Submits a message of one recipient; what became of it is in the result once it is known. */
  const send = (site: string, by = 'ann', signal?: AbortSignal) => submit(task(site, by), signal)
  const task = (site: string, by = 'ann'): Task => ({ site, by, message: `m${++serial}`, to: `${by}${serial}` })
  const submit = (one: Task, signal?: AbortSignal) => {
    const sent: { task: Task; result?: Submission<string> | Error } = { task: one }
    queue.submit(one, signal && [signal]).then(
      (result) => void (sent.result = result),
      (error: Error) => void (sent.result = error),
    )
    return sent
  }
  return { cluster, clock, queue, transactions, settled, suspended, count, most, send, submit, task, running }
}

const policyIn = ({ concurrency, perMinute, maxRecipients, shared }: FakeSite = {}): Omit<SitePolicy, 'key'> => ({
  ...(concurrency !== undefined && { concurrency }),
  ...(shared !== undefined && { shared }),
  ...(perMinute !== undefined && { perMinute }),
  ...(maxRecipients !== undefined && { maxRecipients }),
})
export const times = <T>(count: number, make: (index: number) => T): T[] =>
  Array.from({ length: count }, (_, i) => make(i))
export const kinds = (sent: { result?: Submission<string> | Error }[]): Record<string, number> => {
  const counts: Record<string, number> = {}
  for (const { result } of sent) {
    const kind =
      result === undefined
        ? 'waiting'
        : result instanceof Error
          ? 'failed'
          : result.kind === 'done'
            ? (result.outcome.split(' ')[0] ?? '')
            : result.kind
    counts[kind] = (counts[kind] ?? 0) + 1
  }
  return counts
}
