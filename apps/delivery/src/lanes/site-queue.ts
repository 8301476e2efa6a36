/**
 * One site: what waits for it, in whose turn, and when the next transaction may begin. It starts nothing and keeps no timer; it is
 * told what happened and when.
 *
 * A job is what becomes one transaction: tasks of one message that came together. It gathers until it is ripe, may be joined by
 * others of its message while it waits, and is full at so many recipients.
 */
import { Breaker, type BreakerOptions, type BreakerState } from './breaker.ts'
import { spread } from './clock.ts'
import { Concurrency } from './concurrency.ts'
import { DrainRate } from './drain-rate.ts'
import { Rate } from './rate.ts'
import type { SiteNews } from './site-news.ts'
import type { SitePolicy } from './site-policy.ts'
import { Spill, type SpillOptions } from './spill.ts'
import { SubmitterTurns } from './submitter-turns.ts'

export interface SiteOptions {
  /** Transactions at once: to begin with, and at most where the policy says nothing. */
  initialConcurrency: number
  concurrency: number
  maxRecipients: number
  breaker: BreakerOptions
  spill: SpillOptions
  /** A site that says it is busy is left alone for so long. */
  busyPauseMs: number
}

export interface Job<Entry> {
  readonly submitter: string
  readonly group: string
  /** How often its first task was put back. */
  readonly spills: number
  readonly entries: Set<Entry>
  ripe: boolean
}

const BUSY_JITTER = 0.2

export class SiteQueue<Entry> {
  policy: SitePolicy
  readonly #options: SiteOptions
  readonly #random: () => number
  /** Jobs that take further tasks, by group. */
  readonly #joinable = new Map<string, Job<Entry>>()
  readonly #turns = new SubmitterTurns<Job<Entry>>()
  readonly #concurrency: Concurrency
  readonly #rate = new Rate()
  readonly #breaker: Breaker
  readonly #drain = new DrainRate()
  readonly #spill: Spill
  #running = 0
  #pausedUntil = -Infinity

  constructor(policy: SitePolicy, options: SiteOptions, random: () => number) {
    this.policy = policy
    this.#options = options
    this.#random = random
    this.#concurrency = new Concurrency(Math.min(options.initialConcurrency, options.concurrency))
    this.#breaker = new Breaker(options.breaker, random)
    this.#spill = new Spill(options.spill, random)
  }

  /** Jobs that could begin if the limits let them. */
  get ready(): number {
    return this.#turns.size
  }

  get idle(): boolean {
    return this.#running === 0 && this.#turns.empty
  }

  get breakerClosed(): boolean {
    return this.#breaker.closed
  }

  breakerState(now: number): BreakerState {
    return this.#breaker.state(now)
  }

  /** It would be the same again if it were forgotten. */
  forgettable(now: number): boolean {
    const owes = this.#pausedUntil > now || this.#spill.pending(now) || this.#rate.next(this.policy.perMinute) > now
    return this.#breaker.spotless && this.#concurrency.initial && !owes
  }

  /** The job of this group that has room. */
  joinable(group: string): Job<Entry> | undefined {
    return this.#joinable.get(group)
  }

  /**
   * @param spills how often it was put back
   * @returns milliseconds after which another job of this submitter is to come again; null: it is taken now
   */
  spillMs(submitter: string, spills: number, now: number): number | null {
    const perMs = this.#perMs(now)
    if (perMs === null || this.#breaker.state(now).kind === 'open') return null
    const ahead = this.#turns.ahead(submitter)
    if (ahead < this.#allowed || ahead / perMs <= this.#spill.afterMs) return null
    return this.#spillMs(perMs, spills, now)
  }

  open(submitter: string, group: string, spills: number): Job<Entry> {
    const job = { submitter, group, spills, entries: new Set<Entry>(), ripe: false }
    this.#joinable.set(group, job)
    this.#turns.announce(submitter)
    return job
  }

  /** @returns whether the job is full, and need not wait for more */
  join(job: Job<Entry>, entry: Entry): boolean {
    job.entries.add(entry)
    if (job.entries.size < (this.policy.maxRecipients ?? this.#options.maxRecipients)) return false
    this.#close(job)
    return true
  }

  /** It has waited for others. @returns whether that is news */
  ripen(job: Job<Entry>): boolean {
    if (job.ripe || job.entries.size === 0) return false
    job.ripe = true
    this.#turns.add(job.submitter, job)
    return true
  }

  leave(job: Job<Entry>, entry: Entry): void {
    job.entries.delete(entry)
    if (job.entries.size > 0) return
    this.#close(job)
    if (job.ripe) this.#turns.remove(job)
    else this.#turns.callOff(job.submitter)
  }

  /** When the next transaction may begin; null: not before another one has ended, or nothing is ready. */
  nextAt(now: number): number | null {
    if (this.#turns.size === 0 || this.#running >= this.#allowed) return null
    const state = this.#breaker.state(now)
    if (state.kind === 'open' || (state.kind === 'halfOpen' && state.probing)) return null
    return Math.max(this.#pausedUntil, this.#rate.next(this.policy.perMinute))
  }

  /** @returns what begins; `probe`: its end decides whether the site is left alone */
  begin(now: number): { job: Job<Entry>; probe: boolean } | null {
    const job = this.#turns.next()
    if (job === undefined) return null
    this.#close(job)
    this.#running++
    this.#rate.begun(now, this.policy.perMinute)
    const probe = !this.#breaker.closed
    if (probe) this.#breaker.probe()
    return { job, probe }
  }

  /** @param news null: nothing was learned of the site */
  ended(news: SiteNews | null, probe: boolean, now: number): void {
    const running = this.#running--
    this.#drain.done(now)
    switch (news?.kind) {
      case undefined:
        if (probe) this.#breaker.untold()
        return
      case 'well':
        if (this.#breaker.answered()) this.#concurrency.restart()
        else this.#concurrency.well(running, this.#limit)
        return
      case 'busy':
        this.#breaker.answered()
        // Those that ran beside it say the same, of the same moment.
        if (now < this.#pausedUntil) return
        this.#concurrency.busy()
        this.#pausedUntil = now + spread(this.#options.busyPauseMs, BUSY_JITTER, this.#random())
        return
      case 'trouble':
        this.#breaker.trouble(news, { allowed: this.#allowed, probe, now })
        this.#concurrency.trouble()
    }
  }

  /** Says how much waits now, for the rate. */
  measure(now: number): void {
    this.#drain.waiting(this.#turns.size > 0, now)
  }

  /** Takes out what would wait too long, as it looks now; with the milliseconds after which it is to come again. */
  *excess(now: number): Iterable<[Job<Entry>, number]> {
    const perMs = this.#perMs(now)
    if (perMs === null) return
    const keep = Math.max(this.#allowed, Math.floor(perMs * this.#spill.afterMs))
    if (this.#turns.size <= keep) return
    for (const job of this.#turns.beyond(keep)) {
      this.#close(job)
      yield [job, this.#spillMs(perMs, job.spills, now)]
    }
  }

  /** Takes out all that is ready. */
  *all(): Iterable<Job<Entry>> {
    for (const job of this.#turns.all()) {
      this.#close(job)
      yield job
    }
  }

  /** What it does now says little of a site that is only beginning, to be seen or to get more at once. */
  #perMs(now: number): number | null {
    const perMs = this.#drain.perMs(now)
    return perMs === null ? null : perMs * this.#concurrency.headroom(this.#limit) * this.#drain.doubt(now)
  }

  /** @param perMs what it may do now; the less sure that is, the sooner those put back come to see */
  #spillMs(perMs: number, spills: number, now: number): number {
    return this.#spill.delayMs(Math.max(perMs * this.#drain.doubt(now), this.#drain.bestPerMs), spills, now)
  }

  get #limit(): number {
    return this.policy.concurrency ?? this.#options.concurrency
  }

  get #allowed(): number {
    return this.#concurrency.allowed(this.#limit)
  }

  #close(job: Job<Entry>): void {
    if (this.#joinable.get(job.group) === job) this.#joinable.delete(job.group)
  }
}
