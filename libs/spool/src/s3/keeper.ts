/**
 * Custody's side of a spool in S3. A record is an object, and freeing it deletes the object; there is nothing to compact.
 *
 * A listing may be late: a record that it does not show yet is found by the next one, and one that is gone already is passed by.
 */
import type { QueueId } from '@postbus/contracts'
import { Bucket, type S3Options } from '@postbus/s3'

import type { OnDamage } from '../list-records.ts'
import { CorruptRecord, type SpoolKeeper } from '../spool.ts'
import { type Beginning, keyOf, queueIdIn, readBeginning, RECORDS } from './records.ts'

/** Read in the hope that it is header and event. */
const FIRST_BYTES = 8 * 1024
/** Beginnings that are read ahead of who lists. */
const READ_AHEAD = 16

export function s3Keeper(location: string, options: S3Options, onDamage: OnDamage): SpoolKeeper {
  const bucket = new Bucket(location, options)

  /** Null where it is gone, or damaged and told of. */
  async function beginningOf(queueId: QueueId): Promise<Beginning | null> {
    try {
      return await readBeginning(bucket, queueId, FIRST_BYTES)
    } catch (cause) {
      if (!(cause instanceof CorruptRecord)) throw cause
      onDamage(queueId, cause)
      return null
    }
  }

  async function* queueIds(): AsyncGenerator<QueueId> {
    for await (const { key } of bucket.list(RECORDS)) {
      const queueId = queueIdIn(key)
      if (queueId !== null) yield queueId
    }
  }

  return {
    async *list() {
      for await (const beginning of readingAhead(queueIds(), READ_AHEAD, beginningOf)) {
        if (beginning) yield { accepted: beginning.accepted, writtenAt: new Date(beginning.header.writtenAt) }
      }
    },
    free: (queueIds) => bucket.delete([...new Set(queueIds)].map(keyOf)),
    compact: () => Promise.resolve({ copied: 0, segmentsRemoved: 0 }),
    sweep: (olderThan) => bucket.abandonUploads(olderThan),
    close: () => bucket.close(),
  }
}

/** The results in order, with so many under way. */
async function* readingAhead<T, R>(
  items: AsyncIterable<T>,
  count: number,
  read: (item: T) => Promise<R>,
): AsyncGenerator<R> {
  const underWay: Promise<R>[] = []
  try {
    for await (const item of items) {
      const reading = read(item)
      // Told to whoever comes so far.
      reading.catch(() => undefined)
      underWay.push(reading)
      if (underWay.length >= count) yield* shiftFrom(underWay)
    }
    while (underWay.length > 0) yield* shiftFrom(underWay)
  } finally {
    // Whoever stops listens to none of them any more.
    await Promise.allSettled(underWay)
  }
}

async function* shiftFrom<R>(underWay: Promise<R>[]): AsyncGenerator<R> {
  const next = underWay.shift()
  if (next) yield await next
}
