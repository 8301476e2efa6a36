/**
 * Message bytes that are large, or on their way between two services. Keys are ours: `[A-Za-z0-9._/-]+`, no `..`.
 * Local files now; S3 and PostgreSQL pass the same contract suite later.
 */
export interface Blobs {
  /** Streams bytes into a new blob, durable (file and directory synced) when it resolves unless `durable` is false. Replaces nothing: an existing key is an error. */
  put(
    key: string,
    body: AsyncIterable<Uint8Array>,
    options?: { maxBytes?: number; durable?: boolean },
  ): Promise<{ size: number }>
  /** The bytes `[offset, offset + length)`; to the end without a length. @throws NoSuchBlob */
  read(key: string, range?: { offset: number; length?: number }): AsyncIterable<Uint8Array>
  size(key: string): Promise<number>
  /** The same bytes under a second key, without copying where the store can; durable when it resolves. Idempotent. */
  link(from: string, to: string): Promise<void>
  /**
   * A file nobody changes any more as a new blob, without copying (a hard link); durable when it resolves. False where the store
   * cannot: it has no files, or the file lies on another file system. Then put its bytes.
   */
  adopt?(key: string, path: string): Promise<boolean>
  /** Idempotent. */
  delete(key: string): Promise<void>
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
