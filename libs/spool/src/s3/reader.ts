/** Records read from S3: most come whole with the first request. */
import type { QueueId } from '@postbus/contracts'
import { Bucket, NoSuchObject, type S3Options } from '@postbus/s3'

import { recordLength } from '../record.ts'
import { wholeRecord } from '../record-reader.ts'
import { NoSuchRecord, type SpoolReader } from '../spool.ts'
import { storedRecord } from '../stored-record.ts'
import { keyOf, readBeginning } from './records.ts'

const FIRST_BYTES = 64 * 1024

export function s3Reader(location: string, options: S3Options): SpoolReader {
  const bucket = new Bucket(location, options)

  async function* bytesOf(queueId: QueueId, offset: number, length: number): AsyncGenerator<Uint8Array> {
    try {
      yield* bucket.read(keyOf(queueId), offset, length)
    } catch (cause) {
      throw cause instanceof NoSuchObject ? new NoSuchRecord(`${queueId} was freed`, { cause }) : cause
    }
  }

  return {
    async open(queueId) {
      const beginning = await readBeginning(bucket, queueId, FIRST_BYTES)
      if (!beginning) throw new NoSuchRecord(`no record of ${queueId}`)
      const { header, accepted, octets } = beginning
      if (octets.length >= recordLength(header)) return wholeRecord(queueId, octets, null)
      const offset = recordLength(header) - header.bytesLength
      return storedRecord({
        ...{ queueId, accepted, size: header.bytesLength, crc: header.bytesCrc },
        place: { bytes: { kind: 's3', ...bucket.place(keyOf(queueId)) }, offset },
        read: (start, end) => bytesOf(queueId, offset + start, end - start),
      })
    },
    close: () => bucket.close(),
  }
}
