/**
 * The sites of the lanes a process owns: each has a queue, and so many transactions at once. Tasks of one message to one
 * site that come together travel in one transaction.
 *
 * A slow site fills its own slots only; nobody else waits for it.
 */
export interface Sites<Task, Result> {
  /**
   * Resolves with the task's result once its transaction is done; rejects when the transaction threw, or with the signal's
   * reason when it aborts before the transaction began.
   */
  submit(task: Task, signal?: AbortSignal): Promise<Result>
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

interface Waiting<Task, Result> {
  task: Task
  resolve(result: Result): void
  reject(cause: unknown): void
  /** Its transaction begins; it is not taken back any more. */
  begin(): void
}

interface Job<Task, Result> {
  tasks: Waiting<Task, Result>[]
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

  function submit(task: Task, signal?: AbortSignal): Promise<Result> {
    return new Promise((resolve, reject) => {
      const site = siteFor(siteOf(task))
      const group = groupOf(task)
      const job = jobFor(site, group)
      const waiting: Waiting<Task, Result> = {
        task,
        resolve,
        reject,
        begin: () => signal?.removeEventListener('abort', giveUp),
      }
      const giveUp = (): void => {
        job.tasks = job.tasks.filter((other) => other !== waiting)
        if (job.tasks.length === 0) site.jobs.delete(group)
        reject(signal?.reason)
      }
      job.tasks.push(waiting)
      if (signal?.aborted) giveUp()
      else signal?.addEventListener('abort', giveUp, { once: true })
    })
  }

  function jobFor(site: Site<Task, Result>, group: string): Job<Task, Result> {
    const known = site.jobs.get(group)
    if (known) return known
    const job: Job<Task, Result> = { tasks: [], ready: false }
    site.jobs.set(group, job)
    setTimeout(() => {
      job.ready = true
      run()
    }, gatherMs)
    return job
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
    for (const { begin } of tasks) begin()
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
