/**
 * The sites of the lanes a process owns: each has a queue, and so many transactions at once. Tasks of one message to one
 * site that come together travel in one transaction.
 *
 * A slow site fills its own slots only; nobody else waits for it.
 */
export interface Sites<Task, Result> {
  /** Resolves with the task's result once its transaction is done; rejects when the transaction threw. */
  submit(task: Task): Promise<Result>
}

export interface SitesOptions<Task> {
  siteOf(task: Task): string
  /** Tasks with the same key may share a transaction. */
  groupOf(task: Task): string
  /** RFC 5321 §4.5.3.1.8: peers must take 100. */
  maxRecipients: number
  concurrencyPerSite: number
  concurrency: number
  /** How long a first task waits for others of its message. */
  gatherMs: number
}

interface Job<Task, Result> {
  tasks: { task: Task; resolve(result: Result): void; reject(cause: unknown): void }[]
  ready: boolean
}

interface Site<Task, Result> {
  name: string
  jobs: Map<string, Job<Task, Result>>
  running: number
}

export function sites<Task, Result>(
  transact: (tasks: Task[]) => Promise<readonly Result[]>,
  options: SitesOptions<Task>,
): Sites<Task, Result> {
  const { siteOf, groupOf, maxRecipients, concurrencyPerSite, concurrency, gatherMs } = options
  /** Insertion order is the order of turns: a site that was served goes to the end. */
  const known = new Map<string, Site<Task, Result>>()
  let running = 0

  function submit(task: Task): Promise<Result> {
    return new Promise((resolve, reject) => {
      const site = siteFor(siteOf(task))
      const group = groupOf(task)
      let job = site.jobs.get(group)
      if (job === undefined) {
        job = { tasks: [], ready: false }
        site.jobs.set(group, job)
        const mine = job
        setTimeout(() => {
          mine.ready = true
          run()
        }, gatherMs)
      }
      job.tasks.push({ task, resolve, reject })
    })
  }

  function siteFor(name: string): Site<Task, Result> {
    const site = known.get(name) ?? { name, jobs: new Map<string, Job<Task, Result>>(), running: 0 }
    known.set(name, site)
    return site
  }

  function run(): void {
    for (const site of [...known.values()]) {
      if (running >= concurrency) return
      for (const [group, job] of site.jobs) {
        if (site.running >= concurrencyPerSite || running >= concurrency) break
        if (!job.ready) continue
        const tasks = job.tasks.splice(0, maxRecipients)
        if (job.tasks.length === 0) site.jobs.delete(group)
        void work(site, tasks)
      }
    }
  }

  async function work(site: Site<Task, Result>, tasks: Job<Task, Result>['tasks']): Promise<void> {
    running++
    site.running++
    known.delete(site.name)
    known.set(site.name, site)
    try {
      const results = await transact(tasks.map(({ task }) => task))
      for (const [index, { resolve }] of tasks.entries()) resolve(results[index] as Result) // one per task, by contract
    } catch (cause) {
      for (const { reject } of tasks) reject(cause)
    } finally {
      running--
      site.running--
      if (site.running === 0 && site.jobs.size === 0) known.delete(site.name)
      run()
    }
  }

  return { submit }
}
