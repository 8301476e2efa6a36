/** Every complete record that was not freed, one at a time: memory holds one segment's places and tombstones, never bytes. */
import { opendir } from 'node:fs/promises'

import { type MailAccepted, QueueId } from '@postbus/contracts'

import { listSegments } from './catalog.ts'
import { FreedRecords } from './freed.ts'
import { fileShards, type Layout, type SegmentName } from './layout.ts'
import { parseRecord, readRecordFile, type RecordFile } from './record-file.ts'
import { Segment, SegmentGone } from './segment.ts'
import { CorruptRecord } from './spool.ts'

const READ_AHEAD_BYTES = 128 * 1024

export type OnDamage = (queueId: QueueId, cause: CorruptRecord) => void

interface Listed {
  accepted: MailAccepted
  writtenAt: Date
}

/**
 * Files after segments: a record that moves meanwhile is then seen twice rather than never.
 * @param isAlive what a living writer has not finished is not listed: nobody was promised it yet
 */
export async function* listRecords(
  layout: Layout,
  isAlive: (name: SegmentName) => boolean,
  onDamage: OnDamage,
): AsyncGenerator<Listed> {
  for (const name of await listSegments(layout)) {
    const segment = new Segment(layout, name)
    try {
      yield* listSegment(layout, name, segment, isAlive, onDamage)
    } catch (cause) {
      // All its records were freed, or copied out, at this moment.
      if (!(cause instanceof SegmentGone)) throw cause
    } finally {
      await segment.close()
    }
  }
  for (const shard of fileShards(layout)) yield* listFiles(layout, shard, onDamage)
}

async function* listSegment(
  layout: Layout,
  name: SegmentName,
  segment: Segment,
  isAlive: (name: SegmentName) => boolean,
  onDamage: OnDamage,
): AsyncGenerator<Listed> {
  await segment.refresh()
  if (segment.ended || !isAlive(name)) await segment.scan()
  const freed = await FreedRecords.read(layout, name.name)
  // Its tombstones go after it: while it stands, all of them have been read.
  await segment.mustStand()
  const read = readAhead(segment)
  for (const { queueId, offset } of segment.entries()) {
    if (freed.ids.has(queueId)) continue
    const record = await undamaged(queueId, onDamage, () =>
      parseRecord(queueId, (at, length) => read(offset + at, length)),
    )
    if (record) yield listed(record)
  }
}

/** Beginnings of records that follow each other closely are read many at a time. */
function readAhead(segment: Segment): (offset: number, length: number) => Promise<Buffer> {
  let start = 0
  let held: Buffer = Buffer.alloc(0)
  return async (offset, length) => {
    if (offset < start || offset + length > start + held.length) {
      held = await segment.read({ offset, length: Math.max(length, READ_AHEAD_BYTES) })
      start = offset
    }
    return held.subarray(offset - start, offset - start + length)
  }
}

async function* listFiles(layout: Layout, shard: string, onDamage: OnDamage): AsyncGenerator<Listed> {
  for await (const { name } of await opendir(shard)) {
    if (!name.endsWith('.rec')) continue
    const queueId = QueueId.safeParse(name.slice(0, -'.rec'.length))
    if (!queueId.success) continue
    const record = await undamaged(queueId.data, onDamage, () => readRecordFile(layout, queueId.data))
    if (record) yield listed(record)
  }
}

async function undamaged<T>(queueId: QueueId, onDamage: OnDamage, read: () => Promise<T>): Promise<T | null> {
  try {
    return await read()
  } catch (cause) {
    if (!(cause instanceof CorruptRecord)) throw cause
    onDamage(queueId, cause)
    return null
  }
}

function listed({ accepted, header }: RecordFile): Listed {
  return { accepted, writtenAt: new Date(header.writtenAt) }
}
