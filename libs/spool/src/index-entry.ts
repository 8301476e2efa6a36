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

import type { QueueId } from '@postbus/contracts'

export const ENTRY_BYTES = 40
export const ID_BYTES = 26
const END = Buffer.from('-'.repeat(ID_BYTES))

export interface Place {
  offset: number
  length: number
}

export interface IndexEntry extends Place {
  queueId: QueueId
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

function encode(buffer: Buffer, id: string | Buffer, offset: number, length: number): void {
  buffer.set(typeof id === 'string' ? Buffer.from(id, 'latin1') : id)
  buffer.writeUIntLE(offset, ID_BYTES, 6)
  buffer.writeUInt32LE(length, 32)
  buffer.writeUInt32LE(crc32(buffer.subarray(0, 36)), 36)
}

/** Whether an entry stands there whole, as it was written. */
export function isEntry(buffer: Buffer, at: number): boolean {
  return buffer.length - at >= ENTRY_BYTES && buffer.readUInt32LE(at + 36) === crc32(buffer.subarray(at, at + 36))
}

export const isEnd = (buffer: Buffer, at: number): boolean => buffer.compare(END, 0, ID_BYTES, at, at + ID_BYTES) === 0

export const placeAt = (buffer: Buffer, at: number): Place => ({
  offset: buffer.readUIntLE(at + ID_BYTES, 6),
  length: buffer.readUInt32LE(at + 32),
})
