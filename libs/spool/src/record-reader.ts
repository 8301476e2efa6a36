/** Records as readers see them. */
import { crc32 } from 'node:zlib'

import type { MailAccepted, QueueId } from '@postbus/contracts'
import type { FileHandle } from 'node:fs/promises'

import { bytesPath, type Layout, recordPath } from './layout.ts'
import { readAt } from './kept-file.ts'
import { decodeEvent, decodeHeader, HEADER_BYTES, type RecordHeader, recordLength } from './record.ts'
import { openIfThere, parseRecord } from './record-file.ts'
import { CorruptRecord, type SpoolRecord } from './spool.ts'

const CHUNK_BYTES = 64 * 1024

/** A record that is in memory whole; its envelope is decoded for who asks for it. @throws CorruptRecord */
export function wholeRecord(queueId: QueueId, record: Buffer, place: SpoolRecord['place']): SpoolRecord {
  const header = decodeHeader(record)
  if (!header || header.queueId !== queueId || recordLength(header) !== record.length) {
    throw new CorruptRecord(queueId, `no record of ${queueId} where it should be`)
  }
  const bytesAt = HEADER_BYTES + header.eventLength
  const bytes = record.subarray(bytesAt)
  let accepted: MailAccepted | undefined
  /** What is right in memory stays right. */
  let checked = false
  return {
    get accepted() {
      return (accepted ??= decodeEvent(header, record.subarray(HEADER_BYTES, bytesAt)))
    },
    size: bytes.length,
    async *read(range) {
      if (!checked && isWhole(range, bytes.length)) {
        if (crc32(bytes) !== header.bytesCrc) throw damaged(queueId)
        checked = true
      }
      const { start = 0, end = bytes.length } = range ?? {}
      yield bytes.subarray(start, end)
    },
    place,
    close: () => Promise.resolve(),
  }
}

/** A record with a file of its own; null where there is none. @throws CorruptRecord */
export async function fileRecord(layout: Layout, queueId: QueueId): Promise<SpoolRecord | null> {
  const path = recordPath(layout, queueId)
  const file = await openIfThere(path)
  if (file === null) return null
  let bytesFile: FileHandle | null = null
  try {
    const { header, accepted } = await parseRecord(queueId, (offset, length) => readAt(file, offset, length))
    if (!header.apart) {
      const length = recordLength(header)
      const offset = length - header.bytesLength
      return wholeRecord(queueId, await readAt(file, 0, length), { bytes: { kind: 'file', path }, offset })
    }
    const bytes = bytesPath(layout, queueId, header.writer)
    bytesFile = await openIfThere(bytes)
    if (bytesFile) return apartRecord(header, accepted, bytes, bytesFile)
  } finally {
    await file.close()
  }
  // Freed between the two, unless the record is still there.
  const still = await openIfThere(path)
  await still?.close()
  if (still) throw new CorruptRecord(queueId, `the bytes of ${queueId} are gone`)
  return null
}

function apartRecord(header: RecordHeader, accepted: MailAccepted, path: string, file: FileHandle): SpoolRecord {
  const size = header.bytesLength
  return {
    accepted,
    size,
    async *read(range) {
      const { start = 0, end = size } = range ?? {}
      const whole = isWhole(range, size)
      let crc = 0
      for (let at = start; at < Math.min(end, size);) {
        const piece = await readAt(file, at, Math.min(CHUNK_BYTES, end - at, size - at))
        at += piece.length
        if (whole) crc = crc32(piece, crc)
        // The last piece is given only when all are known to be right: who has read to the end has the message.
        if (piece.length === 0 || (whole && at === size && crc !== header.bytesCrc)) throw damaged(header.queueId)
        yield piece
      }
    },
    place: { bytes: { kind: 'file', path }, offset: 0 },
    close: () => file.close(),
  }
}

function isWhole(range: { start: number; end: number } | undefined, size: number): boolean {
  return !range || (range.start <= 0 && range.end >= size)
}

const damaged = (queueId: QueueId): CorruptRecord => new CorruptRecord(queueId, `the bytes of ${queueId} are damaged`)
