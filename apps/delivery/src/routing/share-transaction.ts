/**
 * Which of the tasks that came together can be one transaction: those of one route, as many as its next hop takes at once.
 * They were gathered by key; a rule may have changed since.
 */
import type { MailOut } from '@postbus/contracts'

import type { Transacted } from '../lanes/scheduler.ts'
import type { SiteNews } from '../lanes/site-news.ts'
import type { Route } from './route.ts'

export interface Shared {
  route: Route
  tasks: MailOut[]
}

export function shareTransaction(tasks: readonly MailOut[], routeOf: (task: MailOut) => Route): Shared[] {
  const byKey = new Map<string, Shared>()
  for (const task of tasks) {
    const route = routeOf(task)
    const shared = byKey.get(route.key)
    if (shared) shared.tasks.push(task)
    else byKey.set(route.key, { route, tasks: [task] })
  }
  return [...byKey.values()].flatMap(({ route, tasks: all }) =>
    chunks(all, route.policy.maxRecipients ?? all.length).map((chunk) => ({ route, tasks: chunk })),
  )
}

function chunks<T>(items: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, index) =>
    items.slice(index * size, (index + 1) * size),
  )
}

/** Each of them its own transaction. @returns the news of the first that is not well; settling gives outcomes in the order of the tasks */
export async function attemptEach<Outcome>(
  tasks: readonly MailOut[],
  routeOf: (task: MailOut) => Route,
  attempt: (tasks: readonly MailOut[], route: Route) => Promise<Transacted<Outcome>>,
): Promise<Transacted<Outcome>> {
  const all = shareTransaction(tasks, routeOf)
  const [only, ...others] = all
  if (only !== undefined && others.length === 0) return attempt(only.tasks, only.route)
  const outcomes = new Map<MailOut, Outcome>()
  const parts: Promise<void>[] = []
  let news: SiteNews = { kind: 'well' }
  for (const { route, tasks: shared } of all) {
    const done = await attempt(shared, route)
    if (news.kind === 'well') news = done.news
    // What is known of these does not wait for the next.
    const part = note(shared, done.settle())
    // It is heard of at the end, with the others; meanwhile nobody listens.
    part.catch(() => {})
    parts.push(part)
  }
  return {
    news,
    async settle() {
      await Promise.all(parts)
      return tasks.flatMap((task) => outcomes.get(task) ?? [])
    },
  }

  async function note(shared: readonly MailOut[], said: Promise<readonly Outcome[]>): Promise<void> {
    for (const [index, outcome] of (await said).entries()) {
      const task = shared[index]
      if (task) outcomes.set(task, outcome)
    }
  }
}
