/**
 * A new object whose bytes come in parts: nothing is there until it is complete. What a crash leaves is ended by
 * `Bucket.abandonUploads`, or by a lifecycle rule of the bucket.
 */
import { completeDocument, uploadIdIn } from './documents.ts'
import { NoSuchObject } from './errors.ts'
import type { Requests } from './requests.ts'

/** Some servers put the parts together before they answer. */
const COMPLETE_MS = 30_000

interface Ports {
  /** Nobody else ever writes the key: nobody can have it. */
  ownKey: boolean
  /** Keeps writers of one key apart. */
  guarded(work: (condition: { 'if-none-match': '*' } | null) => Promise<boolean | 'unguarded'>): Promise<boolean>
  /** Whether the object is there and is this upload's. */
  isDone(): Promise<boolean>
}

export class Upload {
  readonly #requests: Requests
  readonly #key: string
  readonly #uploadId: string
  readonly #ports: Ports
  readonly #parts: { number: number; etag: string }[] = []

  private constructor(requests: Requests, key: string, uploadId: string, ports: Ports) {
    this.#requests = requests
    this.#key = key
    this.#uploadId = uploadId
    this.#ports = ports
  }

  static async begin(requests: Requests, key: string, headers: Record<string, string>, ports: Ports): Promise<Upload> {
    const { body } = await requests.send({ method: 'POST', key, query: { uploads: '' }, headers }, [200])
    return new Upload(requests, key, uploadIdIn(body), ports)
  }

  /** Parts may come in any order and at the same time; their numbers, from 1, say where they belong. */
  async part(number: number, body: Buffer): Promise<void> {
    const query = { partNumber: String(number), uploadId: this.#uploadId }
    const { headers } = await this.#requests.send({ method: 'PUT', key: this.#key, query, body }, [200])
    this.#parts.push({ number, etag: String(headers['etag']) })
  }

  /** The object is complete and kept when it resolves. False: there is one already, and it was left as it is. */
  async complete(): Promise<boolean> {
    const body = completeDocument(this.#parts)
    const query = { uploadId: this.#uploadId }
    return await this.#ports.guarded(async (condition) => {
      const headers = { 'content-type': 'application/xml', ...condition }
      // Many servers look at the condition of a whole object only.
      if (condition && !this.#ports.ownKey && (await this.#isTaken())) return false
      try {
        const { status } = await this.#requests.send(
          { method: 'POST', key: this.#key, query, headers, body, workMs: COMPLETE_MS },
          condition ? [200, 412, 501] : [200],
        )
        if (status === 501) return 'unguarded'
        // It may be there because an earlier try put it there.
        return status === 200 || (await this.#ports.isDone())
      } catch (cause) {
        // The upload is gone where an earlier try completed it, and its answer was lost.
        if (cause instanceof NoSuchObject && (await this.#ports.isDone())) return true
        throw cause
      }
    })
  }

  /** What was sent is given back. */
  async abandon(): Promise<void> {
    try {
      await this.#requests.send({ method: 'DELETE', key: this.#key, query: { uploadId: this.#uploadId } }, [200, 204])
    } catch (cause) {
      if (!(cause instanceof NoSuchObject)) throw cause
    }
  }

  async #isTaken(): Promise<boolean> {
    try {
      await this.#requests.send({ method: 'HEAD', key: this.#key }, [200])
      return true
    } catch (cause) {
      if (cause instanceof NoSuchObject) return false
      throw cause
    }
  }
}
