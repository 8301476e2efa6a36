/**
 * The format of a record, in a segment and in a file of its own. Little-endian.
 *
 *   offset  octets
 *        0       4  "PBsr"
 *        4       2  version: 1
 *        6       2  flags: 1 = the bytes lie in <queueId>.<writer>.msg, not after the event
 *        8       8  writer: the random id its segment's name carries too
 *       16      26  queue id, ASCII
 *       42       6  written at, milliseconds since 1970
 *       48       4  length of the event
 *       52       4  CRC-32 of the event
 *       56       6  length of the bytes
 *       62       2  number of the flush that wrote it, mod 65536; 0 in a file of its own
 *       64       4  CRC-32 of the bytes
 *       68       4  CRC-32 of octets 0–67
 *       72          the event (mail.accepted as JSON), then the bytes
 *
 * The writer's id is what no sender of mail can know: bytes of a message are never taken for a record, also when a scan has to
 * find its way behind a damaged one.
 */
import { crc32 } from 'node:zlib'

import { MailAccepted, QueueId } from '@postbus/contracts'

import { CorruptRecord } from './spool.ts'

export const HEADER_BYTES = 72
export const MAGIC = Buffer.from('PBsr')
const VERSION = 1
const BYTES_APART = 1

/** Records in segments are shorter than this; larger ones have files of their own. */
export const MAX_SEGMENT_RECORD_BYTES = 1024 * 1024
/** Longer events make a record of its own, however short the message. */
export const MAX_EVENT_BYTES = 256 * 1024
/** No event is longer: a header that says so is damaged. */
const LONGEST_EVENT_BYTES = 64 * 1024 * 1024

export interface RecordHeader {
  /** Sixteen hexadecimal digits. */
  writer: string
  queueId: QueueId
  writtenAt: number
  eventLength: number
  eventCrc: number
  bytesLength: number
  bytesCrc: number
  /** A record of the next flush proves that this one's succeeded. */
  flush: number
  apart: boolean
}

/** Octets in the file the header begins. */
export const recordLength = ({ eventLength, bytesLength, apart }: RecordHeader): number =>
  HEADER_BYTES + eventLength + (apart ? 0 : bytesLength)

export function encodeHeader(header: RecordHeader): Buffer {
  const buffer = Buffer.alloc(HEADER_BYTES)
  MAGIC.copy(buffer)
  buffer.writeUInt16LE(VERSION, 4)
  buffer.writeUInt16LE(header.apart ? BYTES_APART : 0, 6)
  buffer.write(header.writer, 8, 8, 'hex')
  buffer.write(header.queueId, 16, 26, 'latin1')
  buffer.writeUIntLE(header.writtenAt, 42, 6)
  buffer.writeUInt32LE(header.eventLength, 48)
  buffer.writeUInt32LE(header.eventCrc, 52)
  buffer.writeUIntLE(header.bytesLength, 56, 6)
  buffer.writeUInt16LE(header.flush, 62)
  buffer.writeUInt32LE(header.bytesCrc, 64)
  buffer.writeUInt32LE(crc32(buffer.subarray(0, 68)), 68)
  return buffer
}

/** Null where no header of this version begins. */
export function decodeHeader(buffer: Buffer, at = 0): RecordHeader | null {
  if (buffer.length - at < HEADER_BYTES || buffer.compare(MAGIC, 0, 4, at, at + 4) !== 0) return null
  if (buffer.readUInt32LE(at + 68) !== crc32(buffer.subarray(at, at + 68))) return null
  const flags = buffer.readUInt16LE(at + 6)
  const queueId = QueueId.safeParse(buffer.toString('latin1', at + 16, at + 42))
  const eventLength = buffer.readUInt32LE(at + 48)
  if (buffer.readUInt16LE(at + 4) !== VERSION || (flags & ~BYTES_APART) !== 0) return null
  if (!queueId.success || eventLength > LONGEST_EVENT_BYTES) return null
  return {
    writer: buffer.toString('hex', at + 8, at + 16),
    queueId: queueId.data,
    writtenAt: buffer.readUIntLE(at + 42, 6),
    eventLength,
    eventCrc: buffer.readUInt32LE(at + 52),
    bytesLength: buffer.readUIntLE(at + 56, 6),
    flush: buffer.readUInt16LE(at + 62),
    bytesCrc: buffer.readUInt32LE(at + 64),
    apart: flags === BYTES_APART,
  }
}

/** @throws CorruptRecord */
export function decodeEvent(header: RecordHeader, event: Buffer): MailAccepted {
  if (event.length !== header.eventLength || crc32(event) !== header.eventCrc) {
    throw new CorruptRecord(header.queueId, `the envelope of ${header.queueId} is damaged`)
  }
  try {
    return MailAccepted.schema.parse(JSON.parse(event.toString('utf8')))
  } catch (cause) {
    throw new CorruptRecord(header.queueId, `the envelope of ${header.queueId} cannot be read`, { cause })
  }
}
