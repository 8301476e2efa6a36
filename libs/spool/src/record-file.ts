/**
 * Records with a file of their own: large ones, reports, and those copied out of a segment.
 *
 * `<queueId>.rec` is the record; it appears by `link`, complete and synced, and never replaces another. The bytes of a large
 * one lie apart in `<queueId>.<writer>.msg`, which is durable under its name before the record is: a record without its bytes
 * was freed at this moment, or is damaged.
 */
import { type FileHandle, link, open, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'

import type { MailAccepted, QueueId } from '@postbus/contracts'
import { failedWith } from '@postbus/blobs/files'

import { asSpoolFull, type Disk, writeFully } from './disk.ts'
import { readAt } from './kept-file.ts'
import { bytesPath, type Layout, recordPath, shardOf } from './layout.ts'
import { decodeEvent, decodeHeader, encodeHeader, HEADER_BYTES, type RecordHeader } from './record.ts'
import { CorruptRecord } from './spool.ts'

/** Read at once in the hope that it is header and event. */
const FIRST_BYTES = 4 * 1024

export interface FileWriterPorts {
  layout: Layout
  disk: Disk
  writer: string
  /** Keeps large messages from taking every thread the flushes need. */
  onDisk<T>(work: () => Promise<T>): Promise<T>
  now(): number
}

/** Streams into a file of its own. False: there is a record under this id already, and nothing was written. */
export async function writeRecordFile(
  { layout, disk, writer, onDisk, now }: FileWriterPorts,
  queueId: QueueId,
  pieces: AsyncIterable<Uint8Array>,
  describe: (size: number) => MailAccepted,
): Promise<MailAccepted | false> {
  const bytes = bytesPath(layout, queueId, writer)
  const temporary = {
    bytes: join(layout.temporary, `${writer}-${queueId}.msg`),
    record: join(layout.temporary, `${writer}-${queueId}.rec`),
  }
  let named = false
  try {
    const content = await writeBytes(disk, temporary.bytes, pieces, onDisk)
    const accepted = describe(content.size)
    const event = Buffer.from(JSON.stringify(accepted))
    const header = encodeHeader({
      writer,
      queueId,
      writtenAt: now(),
      eventLength: event.length,
      eventCrc: crc32(event),
      bytesLength: content.size,
      bytesCrc: content.crc,
      flush: 0,
      apart: true,
    })
    await onDisk(async () => {
      await rename(temporary.bytes, bytes)
      named = true
      await disk.syncDirectory(shardOf(layout, queueId))
      await writeWhole(disk, temporary.record, [header, event])
    })
    const first = await linkRecord(temporary.record, recordPath(layout, queueId))
    if (first) await onDisk(() => disk.syncDirectory(shardOf(layout, queueId)))
    else await rm(bytes, { force: true })
    return first ? accepted : false
  } catch (cause) {
    // The record may have its name by now, not durable: without it nothing is kept, and the sender tries again.
    if (named) await removeOwn(layout, queueId, writer)
    throw asSpoolFull(cause)
  } finally {
    await rm(temporary.bytes, { force: true })
    await rm(temporary.record, { force: true })
  }
}

/** @returns false where a record has this name already */
export async function linkRecord(temporary: string, path: string): Promise<boolean> {
  try {
    await link(temporary, path)
    return true
  } catch (cause) {
    if (failedWith(cause, 'EEXIST')) return false
    throw cause
  }
}

/** A new file with these octets, synced. */
export async function writeWhole(disk: Disk, path: string, buffers: readonly Uint8Array[]): Promise<void> {
  const file = await disk.create(path)
  try {
    await writeFully(file, buffers, 0)
    await file.sync()
  } finally {
    await file.close()
  }
}

export interface RecordFile {
  header: RecordHeader
  accepted: MailAccepted
}

/** Header and event. Null where there is no such record. @throws CorruptRecord */
export async function readRecordFile(layout: Layout, queueId: QueueId): Promise<RecordFile | null> {
  const file = await openIfThere(recordPath(layout, queueId))
  if (file === null) return null
  try {
    return await parseRecord(queueId, (offset, length) => readAt(file, offset, length))
  } finally {
    await file.close()
  }
}

/** @throws CorruptRecord */
export async function parseRecord(
  queueId: QueueId,
  read: (offset: number, length: number) => Promise<Buffer>,
): Promise<RecordFile> {
  const first = await read(0, FIRST_BYTES)
  const header = decodeHeader(first)
  if (header?.queueId !== queueId) throw new CorruptRecord(queueId, `no record of ${queueId} where it should be`)
  const end = HEADER_BYTES + header.eventLength
  const event = end <= first.length ? first.subarray(HEADER_BYTES, end) : await read(HEADER_BYTES, header.eventLength)
  return { header, accepted: decodeEvent(header, event) }
}

/** For those who take away: what cannot be read can still be removed. */
export async function readFileHeader(path: string): Promise<RecordHeader | 'missing' | 'damaged'> {
  const file = await openIfThere(path)
  if (file === null) return 'missing'
  try {
    return decodeHeader(await readAt(file, 0, HEADER_BYTES)) ?? 'damaged'
  } finally {
    await file.close()
  }
}

export async function openIfThere(path: string): Promise<FileHandle | null> {
  try {
    return await open(path, 'r')
  } catch (cause) {
    if (failedWith(cause, 'ENOENT')) return null
    throw cause
  }
}

async function writeBytes(
  disk: Disk,
  path: string,
  pieces: AsyncIterable<Uint8Array>,
  onDisk: FileWriterPorts['onDisk'],
): Promise<{ size: number; crc: number }> {
  const file = await disk.create(path)
  try {
    let size = 0
    let crc = 0
    for await (const piece of pieces) {
      await onDisk(() => writeFully(file, [piece], size))
      crc = crc32(piece, crc)
      size += piece.length
    }
    await onDisk(() => file.sync())
    return { size, crc }
  } finally {
    await file.close()
  }
}

/** What this writer named, and nobody else's. */
async function removeOwn(layout: Layout, queueId: QueueId, writer: string): Promise<void> {
  const path = recordPath(layout, queueId)
  const header = await readFileHeader(path)
  if (typeof header === 'object' && header.apart && header.writer === writer) await rm(path, { force: true })
  await rm(bytesPath(layout, queueId, writer), { force: true })
}
