/**
 * Compares everything open with everything on the bus, when the bus may have lost much at once: at the start, and when a stream
 * is another one than before (made anew, or gone back to an older state).
 *
 * What is on no stream becomes overdue at once, and nothing more: the pass looks for it as for anything overdue, twice, a gap
 * apart. So a census may be wrong in either direction without harm. It costs one listing of the streams and one walk along the
 * open rows, and eight octets of memory for each task on the bus.
 */
import type { QueueId } from '@postbus/contracts'

import type { Books, BooksWriter, OpenTask } from '../tracking/books.ts'
import { KeySet } from './key-set.ts'

export interface KnownStream {
  name: string
  createdAt: string
  lastSequence: number
}

export interface CensusPorts {
  books: Pick<Books, 'knownStreams' | 'openTasks' | 'openMessages'>
  writer: Pick<BooksWriter, 'postponeMessages' | 'postponeRecipients' | 'noteStreams'>
  streams(): Promise<KnownStream[]>
  /** Subjects of every stream that holds work of recipients or messages, in pages. */
  subjects(): AsyncIterable<readonly string[]>
  now(): Date
}

export interface Census {
  onTheBus: number
  open: number
  /** Open, and on no stream. */
  missing: number
}

/** Rows compared between two turns of the event loop. */
const PAGE = 5000

/** @returns streams that are not what they were; all of them when none was ever seen */
export function changedStreams(before: readonly KnownStream[], now: readonly KnownStream[]): KnownStream[] {
  const known = new Map(before.map((stream) => [stream.name, stream]))
  return now.filter(({ name, createdAt, lastSequence }) => {
    const stream = known.get(name)
    return stream === undefined || stream.createdAt !== createdAt || stream.lastSequence > lastSequence
  })
}

export async function takeCensus(ports: CensusPorts, signal: AbortSignal): Promise<Census> {
  const { books, writer } = ports
  // Before the subjects: a stream that is lost meanwhile is noted as it was, and its successor is seen as another.
  const streams = await ports.streams()
  const keys = new KeySet()
  for await (const page of ports.subjects()) {
    signal.throwIfAborted()
    for (const subject of page) keys.add(keyOf(subject))
  }
  keys.freeze()
  const census: Census = { onTheBus: keys.size, open: 0, missing: 0 }

  for (let after: QueueId | null = null; ;) {
    const page: QueueId[] = await books.openMessages(after, PAGE)
    signal.throwIfAborted()
    const missing = page.filter((queueId) => !keys.has(queueId))
    if (missing.length > 0) await writer.postponeMessages(missing, ports.now())
    census.open += page.length
    census.missing += missing.length
    after = page.at(-1) ?? null
    if (page.length < PAGE) break
  }
  for (let after: OpenTask | null = null; ;) {
    const page: OpenTask[] = await books.openTasks(after, PAGE)
    signal.throwIfAborted()
    const missing = page.filter(({ queueId, n }) => !keys.has(`${queueId}.${n}`))
    if (missing.length > 0) await writer.postponeRecipients(missing, ports.now())
    census.open += page.length
    census.missing += missing.length
    after = page.at(-1) ?? null
    if (page.length < PAGE) break
  }
  await writer.noteStreams(streams)
  return census
}

/** `<queueId>.<n>` at the end of a task's subject; the queue id alone of an accepted message. */
function keyOf(subject: string): string {
  const last = subject.lastIndexOf('.')
  if (subject.startsWith('mail.accepted.')) return subject.slice(last + 1)
  return subject.slice(subject.lastIndexOf('.', last - 1) + 1)
}
