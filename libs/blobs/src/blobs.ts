/**
 * Message bytes that are large, or on their way between two services. Keys are ours: `[A-Za-z0-9._/-]+`, no `..`.
 * Local files now; S3 and PostgreSQL pass the same contract suite later.
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
