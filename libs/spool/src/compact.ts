/** Copies the few records that wait for long out of a segment, so that the segment can go. */
import { link, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'

import { failedWith } from '@postbus/blobs/files'

import { type Disk, writeFully } from './disk.ts'
import type { IndexEntry } from './index-entry.ts'
import { type Layout, recordPath, shardOf } from './layout.ts'
import { decodeHeader, HEADER_BYTES, recordLength } from './record.ts'
import type { Segment } from './segment.ts'
import { atMost } from '@postbus/batch'
import { CorruptRecord } from './spool.ts'

const COPIES_AT_ONCE = 4

/**
 * Files of their own for these records, durable when it resolves. What an earlier try copied stands.
 * @throws CorruptRecord one of them is damaged; the segment has to stay
 */
export async function copyOut(
  layout: Layout,
  disk: Disk,
  keeper: string,
  segment: Segment,
  entries: readonly IndexEntry[],
): Promise<void> {
  const oneOf = atMost(COPIES_AT_ONCE)
  const results = await Promise.allSettled(
    entries.map((entry) =>
      oneOf(async () => {
        const record = await segment.read(entry)
        verify(entry, record)
        await writeRecord(layout, disk, keeper, entry, record)
      }),
    ),
  )
  for (const result of results) if (result.status === 'rejected') throw result.reason
  const shards = new Set(entries.map(({ queueId }) => shardOf(layout, queueId)))
  await Promise.all([...shards].map((shard) => disk.syncDirectory(shard)))
}

/** What cannot be verified is not moved: a damaged record is evidence, and its damage must not get a second life. */
function verify({ queueId }: IndexEntry, record: Buffer): void {
  const header = decodeHeader(record)
  const bytesAt = HEADER_BYTES + (header?.eventLength ?? 0)
  if (
    !header ||
    header.queueId !== queueId ||
    recordLength(header) !== record.length ||
    crc32(record.subarray(HEADER_BYTES, bytesAt)) !== header.eventCrc ||
    crc32(record.subarray(bytesAt)) !== header.bytesCrc
  ) {
    throw new CorruptRecord(queueId, `the record of ${queueId} is damaged`)
  }
}

async function writeRecord(
  layout: Layout,
  disk: Disk,
  keeper: string,
  { queueId }: IndexEntry,
  record: Buffer,
): Promise<void> {
  const temporary = join(layout.temporary, `keeper-${keeper}-${queueId}`)
  const file = await disk.create(temporary)
  try {
    await writeFully(file, [record], 0)
    await file.sync()
    await link(temporary, recordPath(layout, queueId))
  } catch (cause) {
    if (!failedWith(cause, 'EEXIST')) throw cause
  } finally {
    await file.close()
    await rm(temporary, { force: true })
  }
}
