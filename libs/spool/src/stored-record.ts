/** Records as stores other than files keep them: header, event and bytes in a row, as the table in record.ts says. */
import { crc32 } from 'node:zlib'

import type { MailAccepted, QueueId } from '@postbus/contracts'

import { encodeHeader } from './record.ts'
import { CorruptRecord, type SpoolRecord } from './spool.ts'

/** What stands before the bytes. @param writer sixteen hexadecimal digits @param body its length and CRC-32 */
export function recordFront(
  { queueId, writer, writtenAt }: { queueId: QueueId; writer: string; writtenAt: number },
  accepted: MailAccepted,
  body: { size: number; crc: number },
): Buffer[] {
  const event = Buffer.from(JSON.stringify(accepted))
  const header = encodeHeader({
    ...{ writer, queueId, writtenAt, flush: 0, apart: false },
    ...{ eventLength: event.length, eventCrc: crc32(event) },
    ...{ bytesLength: body.size, bytesCrc: body.crc },
  })
  return [header, event]
}

/** Bytes that are read when somebody asks for them. */
export interface StoredBytes {
  queueId: QueueId
  accepted: MailAccepted
  size: number
  crc: number
  place: SpoolRecord['place']
  /** The octets `[start, end)`; fewer where the store has lost some. */
  read(start: number, end: number): AsyncIterable<Uint8Array>
}

/** The last piece is given only when all are known to be right: who has read to the end has the message. */
export function storedRecord({ queueId, accepted, size, crc, place, read }: StoredBytes): SpoolRecord {
  return {
    ...{ accepted, size, place },
    async *read(range) {
      const start = Math.max(range?.start ?? 0, 0)
      const end = Math.min(range?.end ?? size, size)
      if (start >= end) return
      const isWhole = start === 0 && end === size
      let at = start
      let sum = 0
      for await (const piece of read(start, end)) {
        at += piece.length
        if (isWhole) sum = crc32(piece, sum)
        if (at > end || (isWhole && at === size && sum !== crc)) throw damaged(queueId)
        yield piece
      }
      if (at < end) throw damaged(queueId)
    },
    close: () => Promise.resolve(),
  }
}

const damaged = (queueId: QueueId): CorruptRecord => new CorruptRecord(queueId, `the bytes of ${queueId} are damaged`)
