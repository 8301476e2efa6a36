/**
 * Where things lie in a spool directory, and what their names say.
 *
 *   segments/<segment>.seg          records of many small messages, appended by one writer
 *   index/<segment>.idx             where each record of the segment begins; may be lost, a scan finds them again
 *   freed/<segment>/<keeper>.freed  tombstones
 *   files/<c>/<queueId>.rec         a record with a file of its own; <c> is the last character of the queue id
 *   files/<c>/<queueId>.<writer>.msg  its bytes, where they were too many to be held in memory
 *   temporary/                      what is not finished
 *   writers/<writer>.lock           locked while the writer lives
 *   keeper.lock, keeper.last        keepers take turns
 *
 * <segment> is <time>-<writer's name>-<writer>-<number>. A segment holds only queue ids whose time lies between `BEFORE_MS`
 * before and `AFTER_MS` after its own: that is how a queue id leads to its segment without an index of everything. Ids
 * that do not fit, and those that carry no time, get files of their own.
 */
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'

import type { QueueId } from '@postbus/contracts'
import { syncDirectory } from '@postbus/blobs/files'

/** A segment's ids are at most this much older than its own time: as long as a slow client may take for a small message. */
export const BEFORE_MS = 20 * 60_000
/** …and at most this much younger. No setting lets a segment stay open for longer. */
export const AFTER_MS = 20 * 60_000

/** Crockford's base 32, as in ULIDs. */
const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ'
const SEGMENT = /^(\d{13})-([a-z0-9.-]{1,64})-([0-9a-f]{16})-(\d{6})\.seg$/
const WRITER_NAME = /^[a-z0-9.-]{1,64}$/

export interface Layout {
  root: string
  segments: string
  index: string
  freed: string
  files: string
  temporary: string
  writers: string
}

export const layoutOf = (root: string): Layout => ({
  root,
  segments: join(root, 'segments'),
  index: join(root, 'index'),
  freed: join(root, 'freed'),
  files: join(root, 'files'),
  temporary: join(root, 'temporary'),
  writers: join(root, 'writers'),
})

/** Every directory there and durable. Two processes may do it at once. */
export async function createLayout(layout: Layout): Promise<void> {
  const { root, files, ...others } = layout
  await mkdir(files, { recursive: true })
  await Promise.all(Object.values(others).map((path) => mkdir(path, { recursive: true })))
  await Promise.all([...ALPHABET].map((character) => mkdir(join(files, character), { recursive: true })))
  await syncDirectory(files)
  await syncDirectory(root)
  await syncDirectory(join(root, '..'))
}

export interface SegmentName {
  /** Without the extension: what everything about the segment is called. */
  name: string
  time: number
  writer: string
}

/** Null where it is no segment's file. */
export function parseSegmentName(file: string): SegmentName | null {
  const [, time, , writer] = SEGMENT.exec(file) ?? []
  return time !== undefined && writer !== undefined
    ? { name: file.slice(0, -'.seg'.length), time: Number(time), writer }
    : null
}

export function segmentName(time: number, writerName: string, writer: string, number: number): string {
  return `${String(time).padStart(13, '0')}-${writerName}-${writer}-${String(number).padStart(6, '0')}`
}

/** @throws TypeError */
export function checkWriterName(name: string): void {
  if (!WRITER_NAME.test(name)) throw new TypeError(`not a writer's name: ${JSON.stringify(name)}`)
}

export const segmentPath = (layout: Layout, segment: string): string => join(layout.segments, `${segment}.seg`)
export const indexPath = (layout: Layout, segment: string): string => join(layout.index, `${segment}.idx`)
export const freedPath = (layout: Layout, segment: string): string => join(layout.freed, segment)
export const lockPath = (layout: Layout, writer: string): string => join(layout.writers, `${writer}.lock`)
export const fileShards = (layout: Layout): string[] => [...ALPHABET].map((character) => join(layout.files, character))
export const shardOf = (layout: Layout, queueId: QueueId): string => join(layout.files, queueId.slice(-1))
export const recordPath = (layout: Layout, queueId: QueueId): string => join(shardOf(layout, queueId), `${queueId}.rec`)
export const bytesPath = (layout: Layout, queueId: QueueId, writer: string): string =>
  join(shardOf(layout, queueId), `${queueId}.${writer}.msg`)

/** The milliseconds in the first ten characters; any number at all for an id that is a hash. */
export function timeOf(queueId: QueueId): number {
  let time = 0
  for (let at = 0; at < 10; at++) time = time * 32 + ALPHABET.indexOf(queueId.charAt(at))
  return time
}

/** Whether a segment of this time may hold this id. */
export function belongs(segmentTime: number, queueId: QueueId): boolean {
  const time = timeOf(queueId)
  return time >= segmentTime - BEFORE_MS && time <= segmentTime + AFTER_MS
}
