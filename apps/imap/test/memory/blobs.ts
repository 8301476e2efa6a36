/** Blobs in memory, for tests. Reads can be made to break off. */
import { BlobExists, BlobTooLarge, NoSuchBlob, type Blobs } from '@postbus/blobs'

export class MemoryBlobs implements Pick<Blobs, 'put' | 'read' | 'size' | 'delete'> {
  readonly held = new Map<string, Buffer>()
  /** Reads end in an error after so many octets. */
  breakAfter = Infinity
  /** Writing fails. */
  full = false

  async put(key: string, body: AsyncIterable<Uint8Array>, { maxBytes = Infinity }: { maxBytes?: number } = {}) {
    if (this.held.has(key)) throw new BlobExists(key)
    const chunks: Uint8Array[] = []
    let size = 0
    for await (const chunk of body) {
      if (this.full) throw new Error('ENOSPC')
      size += chunk.length
      if (size > maxBytes) throw new BlobTooLarge(key)
      chunks.push(chunk)
    }
    this.held.set(key, Buffer.concat(chunks))
    return { size }
  }

  async *read(key: string, { offset, length }: { offset: number; length?: number } = { offset: 0 }) {
    const bytes = this.held.get(key)
    if (!bytes) throw new NoSuchBlob(key)
    const range = bytes.subarray(offset, length === undefined ? undefined : offset + length)
    for (let at = 0; at < range.length; at += 1000) {
      if (at >= this.breakAfter) throw new Error('EIO')
      yield range.subarray(at, at + 1000)
    }
  }

  async size(key: string): Promise<number> {
    const bytes = this.held.get(key)
    if (!bytes) throw new NoSuchBlob(key)
    return bytes.length
  }

  async delete(key: string): Promise<void> {
    this.held.delete(key)
  }
}
