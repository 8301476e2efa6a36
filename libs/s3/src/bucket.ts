/**
 * One bucket below one prefix: objects that appear whole or not at all, and are never replaced by accident.
 *
 * A new object is written with `If-None-Match: *`. A server that does not know it would replace what is there: whether it
 * does is found out once, by writing a small object twice, and if so every new object is looked for first. Two processes that
 * write one key at the same moment are then not told apart, two of this process are.
 */
import { createHash, randomBytes } from 'node:crypto'

import { deleteDocument, type Listed, objectsIn, undeletedIn, uploadsIn } from './documents.ts'
import { NoSuchObject, S3Unavailable } from './errors.ts'
import { s3Location } from './location.ts'
import { readObject } from './read-object.ts'
import { Requests } from './requests.ts'
import type { S3Options } from './settings.ts'
import { Upload } from './upload.ts'

/** No key of ours has a `~`. */
const PROBE = '~conditional-writes'
/** S3 takes a thousand; some servers delete them one after the other before they answer. */
const DELETED_AT_ONCE = 100
const DELETE_MS = 200
/** A copy of the largest message. */
const COPY_MS = 30_000

/** Metadata of an object that says which write made it. */
export const MADE_BY = 'x-amz-meta-made-by'

export interface ObjectFacts {
  size: number
  etag: string
  /** Of the write that made it; '' for one that is not ours. */
  madeBy: string
}

/** An object in this server's words, for a copy that does not come by here. */
export interface ObjectPlace {
  endpoint: string
  bucket: string
  key: string
}

export class Bucket {
  readonly #requests: Requests
  readonly #endpoint: string
  readonly #bucket: string
  readonly #prefix: string
  #honoured: Promise<boolean> | undefined
  /** Keys that are being written, on a server that does not keep writers apart. */
  readonly #writing = new Map<string, Promise<boolean>>()

  /**
   * @param location `s3://bucket/prefix`
   * @param onFailure told of every try that failed and will perhaps be made up for @throws TypeError
   */
  constructor(location: string, options: S3Options, onFailure: () => void = () => {}) {
    const { bucket, prefix } = s3Location(location)
    this.#endpoint = options.endpoint
    this.#bucket = bucket
    this.#prefix = prefix
    this.#requests = new Requests(options, bucket, onFailure)
  }

  /**
   * A new object, complete and kept when it resolves. False: there is one already, and it was left as it is.
   * @param ownKey nobody else ever writes this key: what a try that went wrong left there is ours
   * @throws S3Refused @throws S3Unavailable perhaps it was stored
   */
  async create(key: string, body: Buffer, { ownKey = false } = {}): Promise<boolean> {
    const madeBy = newName()
    return await this.#guarded(key, ownKey, async (condition) => {
      const headers = { ...described(madeBy), ...condition }
      const request = { method: 'PUT', key: this.#prefix + key, headers, body } as const
      const { status, tries } = await this.#requests.send(request, condition ? [200, 412, 501] : [200])
      if (status === 501) return 'unguarded'
      if (status === 200) return true
      return tries > 1 && (ownKey || (await this.#isBy(key, madeBy)))
    })
  }

  /** A new object in parts; see Upload. @param ownKey as in `create` @throws S3Refused @throws S3Unavailable */
  async upload(key: string, { ownKey = false } = {}): Promise<Upload> {
    const madeBy = newName()
    return await Upload.begin(this.#requests, this.#prefix + key, described(madeBy), {
      ownKey,
      guarded: (work) => this.#guarded(key, ownKey, work),
      isDone: () => this.#isBy(key, madeBy),
    })
  }

  /** The octets `[offset, offset + length)`, fewer where the object is shorter. @throws NoSuchObject @throws S3Unavailable */
  read(key: string, offset = 0, length = Infinity): AsyncGenerator<Buffer> {
    return readObject(this.#requests, this.#prefix + key, offset, length)
  }

  /** Null where there is none. @throws S3Refused @throws S3Unavailable */
  async facts(key: string): Promise<ObjectFacts | null> {
    try {
      const { headers } = await this.#requests.send({ method: 'HEAD', key: this.#prefix + key }, [200])
      const { 'content-length': size, etag, [MADE_BY]: madeBy } = headers
      return { size: Number(size), etag: String(etag), madeBy: typeof madeBy === 'string' ? madeBy : '' }
    } catch (cause) {
      if (cause instanceof NoSuchObject) return null
      throw cause
    }
  }

  place(key: string): ObjectPlace {
    return { endpoint: this.#endpoint, bucket: this.#bucket, key: this.#prefix + key }
  }

  /**
   * The same bytes under a second key, without their coming by here. May be done twice.
   * @returns `elsewhere`: another server has them @throws NoSuchObject @throws S3Refused @throws S3Unavailable
   */
  async copy(from: ObjectPlace, to: string): Promise<'copied' | 'taken' | 'elsewhere'> {
    if (from.endpoint !== this.#endpoint) return 'elsewhere'
    const there = await this.facts(to)
    // A copy has the metadata of what it was made from.
    if (there) return there.madeBy !== '' && there.madeBy === (await this.#madeBy(from)) ? 'copied' : 'taken'
    const headers = { 'x-amz-copy-source': `/${from.bucket}/${from.key}` }
    await this.#requests.send({ method: 'PUT', key: this.#prefix + to, headers, workMs: COPY_MS }, [200])
    return 'copied'
  }

  /** Those that are there; the others are no error. */
  async delete(keys: readonly string[]): Promise<void> {
    const [only] = keys
    if (keys.length === 1 && only !== undefined) {
      await this.#requests.send({ method: 'DELETE', key: this.#prefix + only }, [200, 204]).catch(unlessMissing)
      return
    }
    for (let at = 0; at < keys.length; at += DELETED_AT_ONCE) {
      const body = deleteDocument(keys.slice(at, at + DELETED_AT_ONCE).map((key) => this.#prefix + key))
      const headers = { 'content-type': 'application/xml', 'content-md5': md5(body) }
      const answer = await this.#requests.send(
        { method: 'POST', key: '', query: { delete: '' }, headers, body, workMs: DELETED_AT_ONCE * DELETE_MS },
        [200],
      )
      const [left] = undeletedIn(answer.body).filter(({ code }) => code !== 'NoSuchKey')
      if (left) throw new S3Unavailable(`not deleted: ${left.code} ${left.message}`)
    }
  }

  /** Every object whose key begins so, in the order of their octets. What is written or deleted meanwhile may be there or not. */
  async *list(begin: string): AsyncGenerator<Listed> {
    let next: string | null = ''
    while (next !== null) {
      const query = {
        'list-type': '2',
        prefix: this.#prefix + begin,
        ...(next !== '' && { 'continuation-token': next }),
      }
      const { body } = await this.#requests.send({ method: 'GET', key: '', query }, [200])
      const page = objectsIn(body)
      for (const { key, ...facts } of page.objects) {
        const own = key.slice(this.#prefix.length)
        if (!own.includes('~')) yield { key: own, ...facts }
      }
      next = page.next
    }
  }

  /** Ends uploads that were begun before this time and not finished. @returns how many */
  async abandonUploads(begunBefore: Date): Promise<number> {
    let ended = 0
    let next: { key: string; uploadId: string } | null = null
    do {
      const query: Record<string, string> = {
        uploads: '',
        prefix: this.#prefix,
        ...(next && { 'key-marker': next.key, 'upload-id-marker': next.uploadId }),
      }
      const page = uploadsIn((await this.#requests.send({ method: 'GET', key: '', query }, [200])).body)
      for (const { key, uploadId, begunAt } of page.uploads) {
        if (begunAt >= begunBefore) continue
        await this.#requests.send({ method: 'DELETE', key, query: { uploadId } }, [200, 204]).catch(unlessMissing)
        ended++
      }
      next = page.next
    } while (next)
    return ended
  }

  /** Writes the probe: what it takes to write anything. @throws S3Refused @throws S3Unavailable */
  async tryToWrite(): Promise<void> {
    await this.#probe()
  }

  async close(): Promise<void> {
    await this.#requests.close()
  }

  /** A server that does not keep writers apart gets them one at a time, and only where nothing is yet. */
  async #guarded(key: string, ownKey: boolean, work: CreatingWork): Promise<boolean> {
    if (ownKey ? (await this.#honoured) !== false : await this.#honours()) {
      const outcome = await work({ 'if-none-match': '*' })
      if (outcome !== 'unguarded') return outcome
      this.#honoured = Promise.resolve(false)
    }
    const before = this.#writing.get(key)
    const mine = (async () => {
      await before?.catch(() => undefined)
      return (await this.facts(key)) === null && (await work(null)) === true
    })()
    this.#writing.set(key, mine)
    try {
      return await mine
    } finally {
      if (this.#writing.get(key) === mine) this.#writing.delete(key)
    }
  }

  /** Whether the server refuses a second write. Asked once; a failure to ask is no answer. */
  #honours(): Promise<boolean> {
    this.#honoured ??= this.#probe()
      .then(() => this.#probe())
      .catch((cause: unknown) => {
        this.#honoured = undefined
        throw cause
      })
    return this.#honoured
  }

  /** @returns whether the server says that it is there already */
  async #probe(): Promise<boolean> {
    const headers = { 'if-none-match': '*' }
    const request = { method: 'PUT', key: this.#prefix + PROBE, headers, body: Buffer.from('postbus') } as const
    const { status } = await this.#requests.send(request, [200, 412, 501])
    return status === 412
  }

  async #isBy(key: string, madeBy: string): Promise<boolean> {
    return (await this.facts(key))?.madeBy === madeBy
  }

  async #madeBy({ bucket, key }: ObjectPlace): Promise<unknown> {
    if (bucket !== this.#bucket) return undefined
    const { headers } = await this.#requests.send({ method: 'HEAD', key }, [200])
    return headers[MADE_BY]
  }
}

/** Creates an object under this condition; `unguarded`: the server cannot, and did nothing. */
type CreatingWork = (condition: { 'if-none-match': '*' } | null) => Promise<boolean | 'unguarded'>

const newName = (): string => randomBytes(12).toString('base64url')

const described = (madeBy: string): Record<string, string> => ({
  'content-type': 'application/octet-stream',
  [MADE_BY]: madeBy,
})

/** S3 wants this of requests whose body is XML. */
const md5 = (body: Buffer): string => createHash('md5').update(body).digest('base64')

function unlessMissing(cause: unknown): void {
  if (!(cause instanceof NoSuchObject)) throw cause
}
