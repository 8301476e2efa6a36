/** Taking records away, in an order that no crash can turn into their return. */
import { rm } from 'node:fs/promises'

import type { QueueId } from '@postbus/contracts'

import type { Disk } from './disk.ts'
import { bytesPath, freedPath, indexPath, type Layout, recordPath, segmentPath, shardOf } from './layout.ts'
import { readFileHeader } from './record-file.ts'

/** The tombstones go last: while the segment could still come back, so must they. */
export async function removeSegment(layout: Layout, disk: Disk, segment: string): Promise<void> {
  await rm(segmentPath(layout, segment), { force: true })
  await disk.syncDirectory(layout.segments)
  await rm(indexPath(layout, segment), { force: true })
  await rm(freedPath(layout, segment), { recursive: true, force: true })
}

/** Durable when it resolves. Ids without a file are no error. */
export async function removeRecordFiles(layout: Layout, disk: Disk, queueIds: readonly QueueId[]): Promise<void> {
  const bytes: string[] = []
  const shards = new Set<string>()
  for (const queueId of queueIds) {
    const path = recordPath(layout, queueId)
    // Also where nothing is left: whoever removed it may not have lived to make that durable.
    shards.add(shardOf(layout, queueId))
    const header = await readFileHeader(path)
    if (header === 'missing') continue
    if (header !== 'damaged' && header.apart) bytes.push(bytesPath(layout, queueId, header.writer))
    await rm(path, { force: true })
  }
  await Promise.all([...shards].map((shard) => disk.syncDirectory(shard)))
  // Only now: a record whose bytes are missing would look damaged.
  for (const path of bytes) await rm(path, { force: true })
}
