/**
 * Open outgoing recipients as operators ask for them. The books are read a page at a time, and between two pages everybody
 * else has a turn: a look at a million recipients holds up neither the statuses nor other questions.
 */
import { setImmediate as turn } from 'node:timers/promises'

import type { QueuedRecipient, QueueFilter } from '@postbus/contracts'

import type { Books, QueuePlace, QueueRange } from '../tracking/books.ts'
import { describeEntry } from './describe-entry.ts'
import { isRangeOnly, matches, rangeOf } from './match-filter.ts'

/** Recipients read at once: some milliseconds. */
const PAGE = 500
const MARKS_PAGE = 5000

export async function* walkQueue(
  { queueEntries }: Pick<Books, 'queueEntries'>,
  filter: QueueFilter,
  signal: AbortSignal,
): AsyncGenerator<QueuedRecipient> {
  const pages = pagesOf((range, after) => queueEntries(range, after, PAGE), rangeOf(filter), PAGE, signal)
  for await (const entry of pages) {
    const queued = describeEntry(entry)
    if (queued !== null && matches(queued, filter)) yield queued
  }
}

export interface SiteCount {
  site: string
  routed: number
  deferred: number
  held: number
  dead: number
  /** Accepted (ms). */
  oldestAt: number
  nextAttemptAt: number | null
}

export async function countSites(
  books: Pick<Books, 'queueEntries' | 'queueMarks'>,
  filter: QueueFilter,
  signal: AbortSignal,
): Promise<SiteCount[]> {
  const sites = new Map<string, SiteCount>()
  for await (const { site, state, acceptedAt, nextAttemptAt } of marksOf(books, filter, signal)) {
    let count = sites.get(site)
    if (count === undefined) {
      count = { site, routed: 0, deferred: 0, held: 0, dead: 0, oldestAt: acceptedAt, nextAttemptAt: null }
      sites.set(site, count)
    }
    count[state]++
    count.oldestAt = Math.min(count.oldestAt, acceptedAt)
    if (nextAttemptAt !== null) count.nextAttemptAt = Math.min(count.nextAttemptAt ?? Infinity, nextAttemptAt)
  }
  return [...sites.values()]
}

type Mark = Pick<SiteCount, 'site' | 'nextAttemptAt'> & { state: QueuedRecipient['state']; acceptedAt: number }

async function* marksOf(
  books: Pick<Books, 'queueEntries' | 'queueMarks'>,
  filter: QueueFilter,
  signal: AbortSignal,
): AsyncGenerator<Mark> {
  if (isRangeOnly(filter)) {
    const { queueMarks } = books
    const marks = pagesOf((range, after) => queueMarks(range, after, MARKS_PAGE), rangeOf(filter), MARKS_PAGE, signal)
    for await (const mark of marks) if (filter.states?.includes(mark.state) ?? true) yield mark
    return
  }
  for await (const { site, state, acceptedAt, nextAttemptAt } of walkQueue(books, filter, signal)) {
    const next = nextAttemptAt === undefined ? null : Date.parse(nextAttemptAt)
    yield { site, state, acceptedAt: Date.parse(acceptedAt), nextAttemptAt: next }
  }
}

async function* pagesOf<Place extends QueuePlace>(
  read: (range: QueueRange, after: QueuePlace | null) => Promise<Place[]>,
  range: QueueRange,
  size: number,
  signal: AbortSignal,
): AsyncGenerator<Place> {
  for (let after: QueuePlace | null = null; ;) {
    signal.throwIfAborted()
    const page: Place[] = await read(range, after)
    yield* page
    after = page.at(-1) ?? null
    if (page.length < size || after === null) return
    await turn()
  }
}
