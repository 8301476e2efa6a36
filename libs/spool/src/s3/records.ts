/**
 * Records as objects: `records/<queueId>`, header and event first, so that a short read has the envelope. Ids begin with their
 * time: so a listing is in order.
 */
import { type MailAccepted, QueueId } from '@postbus/contracts'
import { type Bucket, NoSuchObject } from '@postbus/s3'

import { decodeEvent, decodeHeader, HEADER_BYTES, type RecordHeader } from '../record.ts'
import { CorruptRecord } from '../spool.ts'

export const RECORDS = 'records/'

export const keyOf = (queueId: QueueId): string => RECORDS + queueId

/** Null for what is none of ours. */
export function queueIdIn(key: string): QueueId | null {
  const queueId = QueueId.safeParse(key.slice(RECORDS.length))
  return queueId.success ? queueId.data : null
}

export interface Beginning {
  header: RecordHeader
  accepted: MailAccepted
  /** What was read, from the beginning of the object. */
  octets: Buffer
}

/** Null where there is no such record. @param atLeast octets to read at once @throws CorruptRecord */
export async function readBeginning(bucket: Bucket, queueId: QueueId, atLeast: number): Promise<Beginning | null> {
  try {
    let octets = await readAll(bucket, queueId, atLeast)
    const header = decodeHeader(octets)
    if (header?.queueId !== queueId) throw new CorruptRecord(queueId, `no record of ${queueId} where it should be`)
    const end = HEADER_BYTES + header.eventLength
    if (octets.length === atLeast && end > atLeast) octets = await readAll(bucket, queueId, end)
    return { header, accepted: decodeEvent(header, octets.subarray(HEADER_BYTES, end)), octets }
  } catch (cause) {
    if (cause instanceof NoSuchObject) return null
    throw cause
  }
}

async function readAll(bucket: Bucket, queueId: QueueId, length: number): Promise<Buffer> {
  return Buffer.concat(await Array.fromAsync(bucket.read(keyOf(queueId), 0, length)))
}
