/**
 * The sidecar of a segment: one entry per record, appended after the record is durable and never synced. Little-endian.
 *
 *   offset  octets
 *        0      26  queue id, ASCII; 26 × "-" in the last entry of a segment that will not grow
 *       26       6  where the record begins; in the last entry, where the segment ends
 *       32       4  length of the record
 *       36       4  CRC-32 of octets 0–35
 *
 * Entries follow each other as the records do, without a gap: what comes behind a gap or a damaged entry does not count, and
 * is found by scanning the segment.
 */
import { crc32 } from 'node:zlib'

import { QueueId } from '@postbus/contracts'

export const ENTRY_BYTES = 40
const END = '-'.repeat(26)

export interface IndexEntry {
  queueId: QueueId
  offset: number
  length: number
}

export function encodeEntries(entries: readonly IndexEntry[]): Buffer {
  const buffer = Buffer.alloc(entries.length * ENTRY_BYTES)
  for (const [number, { queueId, offset, length }] of entries.entries()) {
    encode(buffer.subarray(number * ENTRY_BYTES), queueId, offset, length)
  }
  return buffer
}

export function encodeEnd(offset: number): Buffer {
  const buffer = Buffer.alloc(ENTRY_BYTES)
  encode(buffer, END, offset, 0)
  return buffer
}

/** Null where the entry is damaged or not yet whole. */
export function decodeEntry(buffer: Buffer, at: number): IndexEntry | { end: number } | null {
  if (buffer.length - at < ENTRY_BYTES) return null
  if (buffer.readUInt32LE(at + 36) !== crc32(buffer.subarray(at, at + 36))) return null
  const id = buffer.toString('latin1', at, at + 26)
  const offset = buffer.readUIntLE(at + 26, 6)
  if (id === END) return { end: offset }
  const queueId = QueueId.safeParse(id)
  return queueId.success ? { queueId: queueId.data, offset, length: buffer.readUInt32LE(at + 32) } : null
}

function encode(buffer: Buffer, id: string, offset: number, length: number): void {
  buffer.write(id, 0, 26, 'latin1')
  buffer.writeUIntLE(offset, 26, 6)
  buffer.writeUInt32LE(length, 32)
  buffer.writeUInt32LE(crc32(buffer.subarray(0, 36)), 36)
}
