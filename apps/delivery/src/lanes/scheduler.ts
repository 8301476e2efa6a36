/**
 * The sites of the lanes a process owns, each with its own queue, limits and breaker; and the process's transactions, given to sites
 * in turn.
 *
 * Every task submitted is answered exactly once: attempted, suspended, put back, or given up by its signal. What waits too long is put back, so
 * that a site which does not drain holds a few tasks of its lane and not the lane.
 *
 * Costs per task do not grow with what waits.
 */
import Denque from 'denque'

import type { BreakerState } from './breaker.ts'
import type { Clock } from './clock.ts'
import { PROBATION_MS } from './drain-rate.ts'
import type { SiteNews, Trouble } from './site-news.ts'
import { partOf, type SitePolicy } from './site-policy.ts'
import { type Job, type SiteOptions, SiteQueue } from './site-queue.ts'

export interface Scheduler<Task, Outcome> {
  /**
   * Resolves with what became of the task; rejects when its transaction threw, or with a signal's reason when one aborts
   * before the transaction began.
   */
  submit(task: Task, signals?: readonly AbortSignal[]): Promise<Submission<Outcome>>
  readonly state: SchedulerState
}

export type Submission<Outcome> =
  | { kind: 'done'; outcome: Outcome }
  /** There is no room for it soon: put it back until then. Nothing was tried. */
  | { kind: 'spill'; until: Date }

export interface SchedulerState {
  /** Tasks that wait for their transaction. */
  waiting: number
  /** Transactions. */
  running: number
  /** Sites that are left alone. */
  breakersOpen: number
}

export interface Transacted<Outcome> {
  news: SiteNews
  /** Does what is left to do for the tasks, once, after the site has gone on. @returns one for each of them, in their order */
  settle(): Promise<readonly Outcome[]>
}

export interface SchedulerPorts<Task, Outcome> {
  /** All of one site and group, never empty. */
  transact(tasks: Task[]): Promise<Transacted<Outcome>>
  /** The same without the network: the site is in trouble, and is tried again at `until`. */
  suspend(tasks: Task[], trouble: Trouble, until: Date): Promise<readonly Outcome[]>
  policyOf(task: Task): SitePolicy
  /** How many share the limits of shared sites, with this one. */
  replicas(): number
  /** Tasks with the same key may share a transaction. */
  groupOf(task: Task): string
  /** Whose turn it is inside a site. */
  submitterOf(task: Task): string
  /** How often it was put back. */
  spillsOf(task: Task): number
  /** The lane it came by has hardly room left for others: what waits long must not stay in it. */
  crowded(task: Task): boolean
  spilled(tasks: number): void
  suspended(tasks: number): void
  clock: Clock
  /** In [0, 1). */
  random(): number
}

export interface SchedulerOptions extends SiteOptions {
  /** Transactions at once in all. */
  transactions: number
  /** How long a first task waits for others of its message. */
  gatherMs: number
}

/** What was learned of a site is kept for so long after its last task. */
const REMEMBER_MS = 600_000
const MAX_REMEMBERED = 10_000
const SWEEP_EVERY_MS = 60_000
/** How often it is looked after who would wait too long. */
const REVIEW_EVERY_MS = PROBATION_MS

interface Entry<Task, Outcome> {
  task: Task
  job: Job<Entry<Task, Outcome>>
  site: Site<Task, Outcome>
  signals: readonly AbortSignal[]
  resolve(submission: Submission<Outcome>): void
  reject(cause: unknown): void
}

interface Site<Task, Outcome> {
  key: string
  queue: SiteQueue<Entry<Task, Outcome>>
  /** The last one that came. */
  latest: Task
  /** It stands in the round. */
  inRound: boolean
  wake: { at: number; cancel(): void } | null
  review: (() => void) | null
  idleSince: number
}

export function scheduler<Task, Outcome>(
  ports: SchedulerPorts<Task, Outcome>,
  options: SchedulerOptions,
): Scheduler<Task, Outcome> {
  type OneSite = Site<Task, Outcome>
  type OneEntry = Entry<Task, Outcome>
  type OneJob = Job<OneEntry>

  const { clock } = ports
  const sites = new Map<string, OneSite>()
  /** Sites that can begin a transaction now. */
  const round = new Denque<OneSite>()
  const bySignal = new WeakMap<AbortSignal, Set<OneEntry>>()
  const open = new Set<OneSite>()
  let waiting = 0
  let running = 0
  let sweptAt = clock.now()

  function submit(task: Task, signals: readonly AbortSignal[] = []): Promise<Submission<Outcome>> {
    for (const signal of signals) if (signal.aborted) return Promise.reject(signal.reason)
    const now = clock.now()
    sweep(now)
    const site = siteOf(partOf(ports.policyOf(task), options.concurrency, ports.replicas()), task)
    const group = ports.groupOf(task)
    let job = site.queue.joinable(group)
    if (job === undefined) {
      const submitter = ports.submitterOf(task)
      const spills = ports.spillsOf(task)
      const afterMs = ports.crowded(task) ? site.queue.spillMs(submitter, spills, now) : null
      if (afterMs !== null) {
        ports.spilled(1)
        return Promise.resolve({ kind: 'spill', until: clock.dateIn(afterMs) })
      }
      const opened = site.queue.open(submitter, group, spills)
      clock.after(options.gatherMs, () => ripen(site, opened))
      job = opened
    }
    const { promise, resolve, reject } = Promise.withResolvers<Submission<Outcome>>()
    const entry: OneEntry = { task, job, site, signals, resolve, reject }
    waiting++
    for (const signal of signals) heldBy(signal).add(entry)
    if (site.queue.join(job, entry)) ripen(site, job)
    return promise
  }

  /** One listener for all that came with a signal: its list of listeners is searched from the front. */
  function heldBy(signal: AbortSignal): Set<OneEntry> {
    const known = bySignal.get(signal)
    if (known) return known
    const held = new Set<OneEntry>()
    bySignal.set(signal, held)
    signal.addEventListener(
      'abort',
      () => {
        for (const entry of [...held]) {
          takeOut(entry)
          entry.reject(signal.reason)
        }
      },
      { once: true },
    )
    return held
  }

  function takeOut(entry: OneEntry): void {
    const { site, job } = entry
    settled(entry)
    site.queue.leave(job, entry)
    site.queue.measure(clock.now())
    rest(site)
  }

  /** It waits no more: what becomes of it is decided. */
  function settled(entry: OneEntry): void {
    waiting--
    for (const signal of entry.signals) bySignal.get(signal)?.delete(entry)
  }

  function ripen(site: OneSite, job: OneJob): void {
    if (!site.queue.ripen(job)) return
    turn(site)
  }

  /** Something changed at the site. */
  function turn(site: OneSite): void {
    const now = clock.now()
    const state = site.queue.breakerState(now)
    if (state.kind === 'open') for (const job of site.queue.all()) void suspend(job, state, now)
    offer(site, now)
    pump()
    site.queue.measure(now)
    if (site.queue.ready > 0) site.review ??= clock.after(REVIEW_EVERY_MS, () => review(site))
    rest(site)
  }

  function offer(site: OneSite, now: number): void {
    if (site.inRound) return
    const at = site.queue.nextAt(now)
    if (at === null) return
    if (at <= now) {
      site.inRound = true
      round.push(site)
    } else if (site.wake?.at !== at) {
      site.wake?.cancel()
      const cancel = clock.after(at - now, () => {
        site.wake = null
        turn(site)
      })
      site.wake = { at, cancel }
    }
  }

  function pump(): void {
    while (running < options.transactions) {
      const site = round.shift()
      if (site === undefined) return
      site.inRound = false
      const now = clock.now()
      const at = site.queue.nextAt(now)
      if (at !== null && at <= now) begin(site, now)
      offer(site, now)
    }
  }

  function begin(site: OneSite, now: number): void {
    const begun = site.queue.begin(now)
    site.queue.measure(now)
    if (begun === null) return
    running++
    const tasks = [...begun.job.entries]
    for (const entry of tasks) settled(entry)
    void work(site, tasks, begun.probe)
  }

  async function work(site: OneSite, tasks: readonly OneEntry[], probe: boolean): Promise<void> {
    const refuse = (cause: unknown): void => {
      for (const { reject } of tasks) reject(cause)
    }
    let done: Transacted<Outcome> | null = null
    try {
      done = await ports.transact(tasks.map(({ task }) => task))
    } catch (cause) {
      refuse(cause)
    }
    site.queue.ended(done?.news ?? null, probe, clock.now())
    if (site.queue.breakerClosed) open.delete(site)
    else open.add(site)
    turn(site)
    try {
      if (done !== null) answer(tasks, await done.settle())
    } catch (cause) {
      refuse(cause)
    }
    running--
    pump()
  }

  async function suspend(
    job: OneJob,
    { trouble, probeAt }: Extract<BreakerState, { kind: 'open' }>,
    now: number,
  ): Promise<void> {
    const tasks = [...job.entries]
    for (const entry of tasks) settled(entry)
    ports.suspended(tasks.length)
    try {
      const until = clock.dateIn(probeAt - now)
      const outcomes = await ports.suspend(
        tasks.map(({ task }) => task),
        trouble,
        until,
      )
      answer(tasks, outcomes)
    } catch (cause) {
      for (const { reject } of tasks) reject(cause)
    }
  }

  function answer(tasks: readonly OneEntry[], outcomes: readonly Outcome[]): void {
    if (outcomes.length !== tasks.length) throw new Error(`${tasks.length} tasks and ${outcomes.length} outcomes`)
    for (const [index, outcome] of outcomes.entries()) tasks[index]?.resolve({ kind: 'done', outcome })
  }

  function review(site: OneSite): void {
    site.review = null
    if (ports.crowded(site.latest)) spillExcess(site)
    turn(site)
  }

  function spillExcess(site: OneSite): void {
    for (const [job, afterMs] of site.queue.excess(clock.now())) {
      const until = clock.dateIn(afterMs)
      ports.spilled(job.entries.size)
      for (const entry of job.entries) {
        settled(entry)
        entry.resolve({ kind: 'spill', until })
      }
    }
  }

  function siteOf(policy: SitePolicy, latest: Task): OneSite {
    const known = sites.get(policy.key)
    if (known) {
      known.latest = latest
      known.queue.policy = policy
      return known
    }
    const queue = new SiteQueue<OneEntry>(policy, options, ports.random)
    const site: OneSite = { key: policy.key, queue, latest, inRound: false, wake: null, review: null, idleSince: 0 }
    sites.set(policy.key, site)
    return site
  }

  /** Nothing of it is left: only what was learned stays, for a while. */
  function rest(site: OneSite): void {
    if (!site.queue.idle) return
    site.wake?.cancel()
    site.wake = null
    site.review?.()
    site.review = null
    site.idleSince = clock.now()
    if (site.queue.forgettable(site.idleSince) || sites.size > MAX_REMEMBERED) forget(site)
  }

  function forget(site: OneSite): void {
    sites.delete(site.key)
    open.delete(site)
  }

  function sweep(now: number): void {
    if (now - sweptAt < SWEEP_EVERY_MS) return
    sweptAt = now
    for (const site of sites.values()) if (site.queue.idle && now - site.idleSince > REMEMBER_MS) forget(site)
  }

  return {
    submit,
    get state() {
      return { waiting, running, breakersOpen: open.size }
    },
  }
}
