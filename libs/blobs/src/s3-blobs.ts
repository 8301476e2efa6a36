/**
 * Blobs as objects of S3, each under its own key.
 *
 * A short blob is one request. A longer one is sent in parts while it comes, and is there when they are put together; so many are
 * sent at once as fit into memory, and the others wait.
 */
import { atMost } from '@postbus/batch'
import { Bucket, inParts, NoSuchObject, type S3Options, type Upload } from '@postbus/s3'

import { BlobExists, type BlobStore, NoSuchBlob } from './blobs.ts'
import { CountedBody } from './counted-body.ts'
import { keyPath, prefixPath } from './key-path.ts'

/** Longer blobs take one of the places for those that are sent in parts. */
const SHORT_BYTES = 256 * 1024
/** Each holds up to two parts in memory. */
const SENT_AT_ONCE = 32

/** @param location `s3://bucket/prefix`; the bucket is there already */
export function s3Blobs(location: string, options: S3Options): BlobStore {
  const bucket = new Bucket(location, options)
  const sending = atMost(SENT_AT_ONCE)

  async function sendParts(key: string, body: AsyncIterable<Uint8Array>): Promise<boolean> {
    let upload: Upload | undefined
    let number = 0
    try {
      for await (const { bytes, isLast } of inParts(body, options.partBytes)) {
        if (isLast && !upload) return await bucket.create(key, bytes)
        upload ??= await bucket.upload(key)
        await upload.part(++number, bytes)
      }
      if (upload && (await upload.complete())) return true
      await upload?.abandon()
      return false
    } catch (cause) {
      // Whoever cannot end it now leaves it to the sweep.
      await upload?.abandon().catch(() => undefined)
      throw cause
    }
  }

  return {
    async put(key, body, { maxBytes = Infinity } = {}) {
      keyPath(key)
      const counted = new CountedBody(body, maxBytes)
      const created = await counted.whole(
        SHORT_BYTES,
        (bytes) => bucket.create(key, bytes),
        (pieces) => sending(() => sendParts(key, pieces)),
      )
      if (!created) throw new BlobExists(`${key} exists`)
      return { size: counted.size }
    },
    async *read(key, range) {
      keyPath(key)
      const { offset = 0, length = Infinity } = range ?? {}
      // Nothing is asked for, and yet it may not be there.
      if (length === 0) await sizeOf(bucket, key)
      try {
        yield* bucket.read(key, offset, length)
      } catch (cause) {
        throw asMissing(cause, key)
      }
    },
    async size(key) {
      keyPath(key)
      return await sizeOf(bucket, key)
    },
    async link(from, to) {
      keyPath(from)
      await copyTo(bucket, bucket.place(from), to)
    },
    adopt: async (key, place) => place.kind === 's3' && (await copyTo(bucket, place, key)),
    async delete(key) {
      keyPath(key)
      await bucket.delete([key])
    },
    list(prefix) {
      prefixPath(prefix)
      return bucket.list(prefix)
    },
    sweep: (olderThan) => bucket.abandonUploads(olderThan),
    close: () => bucket.close(),
  }
}

async function sizeOf(bucket: Bucket, key: string): Promise<number> {
  const facts = await bucket.facts(key)
  if (!facts) throw new NoSuchBlob(`no blob ${key}`)
  return facts.size
}

async function copyTo(bucket: Bucket, from: Parameters<Bucket['copy']>[0], to: string): Promise<boolean> {
  keyPath(to)
  try {
    const outcome = await bucket.copy(from, to)
    if (outcome === 'taken') throw new BlobExists(`${to} exists`)
    return outcome === 'copied'
  } catch (cause) {
    throw asMissing(cause, from.key)
  }
}

const asMissing = (cause: unknown, name: string): unknown =>
  cause instanceof NoSuchObject ? new NoSuchBlob(`no blob ${name}`, { cause }) : cause
