import type { ObjectPlace } from '@postbus/s3'

/**
 * Message bytes that are large, or on their way between two services. Keys are ours: `[A-Za-z0-9._/-]+`, no `..`.
 */
export interface Blobs {
  /**
   * Streams bytes into a new blob, durable (file and directory synced) when it resolves unless `durable` is false.
   * @throws BlobExists nothing is ever replaced @throws BlobTooLarge @throws whatever `body` throws; nothing is kept
   */
  put(
    key: string,
    body: AsyncIterable<Uint8Array>,
    options?: { maxBytes?: number; durable?: boolean },
  ): Promise<{ size: number }>
  /** The bytes `[offset, offset + length)`; to the end without a length. @throws NoSuchBlob */
  read(key: string, range?: { offset: number; length?: number }): AsyncIterable<Uint8Array>
  /** @throws NoSuchBlob */
  size(key: string): Promise<number>
  /** The same bytes under a second key, without copying where the store can; durable when it resolves, also if the first was not. Idempotent. @throws NoSuchBlob @throws BlobExists other bytes are there */
  link(from: string, to: string): Promise<void>
  /** Idempotent. A reader that has begun may finish. */
  delete(key: string): Promise<void>
  /** Every blob whose key begins with the prefix, in no order. Blobs put or deleted meanwhile may be missing or there. */
  list(prefix: string): AsyncIterable<{ key: string; size: number; modifiedAt: Date }>
}

/** A store, with what its owner needs. */
export interface BlobStore extends Blobs {
  /**
   * Gives bytes that lie somewhere already a key, without reading them; durable when it resolves. Idempotent.
   * @returns false: this store cannot, and they must be put @throws NoSuchBlob they are gone @throws BlobExists other bytes are there
   */
  adopt(key: string, place: BytesPlace): Promise<boolean>
  /** Removes unfinished blobs begun before this time, as a crash leaves them. @returns how many */
  sweep(olderThan: Date): Promise<number>
  close(): Promise<void>
}

/** Bytes where another store has them, in the words of what it is made of. */
export type BytesPlace =
  { kind: 'file'; path: string } | ({ kind: 's3' } & ObjectPlace) | ({ kind: 'postgres' } & ChunksPlace)

/** Rows of a table with columns `content`, `number` and `bytes`. */
export interface ChunksPlace {
  /** Of the database, as `host:port/name`. */
  server: string
  table: string
  content: string
}

export class NoSuchBlob extends Error {
  override readonly name = 'NoSuchBlob'
}

export class BlobExists extends Error {
  override readonly name = 'BlobExists'
}

export class BlobTooLarge extends Error {
  override readonly name = 'BlobTooLarge'
}

/** A fault of ours: keys are never made from what a client says. */
export class InvalidBlobKey extends Error {
  override readonly name = 'InvalidBlobKey'
}
