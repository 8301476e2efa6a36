/**
 * Signed requests to one S3 server, tried again until a deadline.
 *
 * The signature covers the SHA-256 of the body, so what arrives damaged is refused. Tried again is what may go better next
 * time: no connection, no progress, 429, 5xx, and conflicts with another writer; with pauses that grow and differ, so that many writers
 * do not come back together. Every request here may be done twice. A server that refuses our time is asked again by its own.
 */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'

import aws4 from 'aws4'
import type { Dispatcher, Pool } from 'undici'

import { errorIn } from './documents.ts'
import { NoSuchObject, S3Refused, S3Unavailable } from './errors.ts'
import type { S3Options } from './settings.ts'

const FIRST_PAUSE_MS = 50
const LONGEST_PAUSE_MS = 2000
/** What S3 says beside objects is shorter: a page of a listing has about 400 octets for each of 1000 keys. */
const MAX_DOCUMENT_BYTES = 8 * 1024 * 1024
/** A body gets this much longer for each of its octets: 128 KiB a second are slow, but are progress. */
const SLOWEST_BYTES_PER_MS = 128

/** S3 takes signatures that are 15 minutes off; a refusal with less between the clocks has another reason. */
const CLOCKS_DIFFER_MS = 60_000

/** Said with 4xx by servers that mean "later": a body that came too slowly, another writer at the same key. */
const LATER = new Set(['RequestTimeout', 'OperationAborted', 'ConditionalRequestConflict', 'SlowDown'])

export interface Request {
  method: 'GET' | 'HEAD' | 'PUT' | 'POST' | 'DELETE'
  /** Of the object, without the bucket; '' for the bucket itself. */
  key: string
  query?: Record<string, string>
  headers?: Record<string, string>
  body?: Buffer
  /** The server has more to do than to answer: it gets so much longer for it. */
  workMs?: number
}

export interface Answer {
  status: number
  headers: Record<string, string | string[] | undefined>
  body: Buffer
  /** 1 when it succeeded at once. After more, an earlier try may have had its effect too. */
  tries: number
}

/** A body that is read while it comes. */
export type OpenAnswer = Pick<Answer, 'status' | 'headers'> & { body: Dispatcher.ResponseData['body'] }

export class Requests {
  readonly #options: S3Options
  readonly #host: string
  readonly #origin: string
  readonly #before: string
  readonly #credentials: aws4.Credentials
  readonly #onFailure: () => void
  #pool: Promise<Pool> | undefined
  /** The server's clock less ours, as far as that ever mattered (ms). */
  #ahead = 0

  /** @param onFailure told of every try that failed and may go better next time */
  constructor(options: S3Options, bucket: string, onFailure: () => void) {
    const url = new URL(options.endpoint)
    this.#options = options
    this.#onFailure = onFailure
    this.#host = options.bucketIn === 'host' ? `${bucket}.${url.host}` : url.host
    this.#before = `${url.pathname.replace(/\/+$/, '')}/${options.bucketIn === 'host' ? '' : bucket}`
    this.#credentials = {
      accessKeyId: options.accessKeyId,
      secretAccessKey: options.secretAccessKey,
      ...(options.sessionToken !== undefined && { sessionToken: options.sessionToken }),
    }
    this.#origin = `${url.protocol}//${this.#host}`
  }

  /**
   * @param expected statuses that are an answer; others are errors
   * @throws NoSuchObject 404 @throws S3Refused @throws S3Unavailable
   */
  async send(request: Request, expected: readonly number[]): Promise<Answer> {
    return await this.#retried(async (tries) => {
      const { statusCode: status, headers, body } = await this.#dispatch(request)
      const document = request.method === 'HEAD' ? await body.dump().then(() => Buffer.alloc(0)) : await whole(body)
      // S3 begins to answer 200 while it still works on a copy, and may then say that it failed.
      const error = errorIn(document)
      if (expected.includes(status) && (status !== 200 || error === null))
        return { status, headers, body: document, tries }
      throw this.#failure(request, status, headers, error)
    })
  }

  /** The body stays open: the caller reads it to its end, or destroys it. Throws as `send` does. */
  async open(request: Request, expected: readonly number[]): Promise<OpenAnswer> {
    return await this.#retried(async () => {
      const { statusCode: status, headers, body } = await this.#dispatch(request)
      if (expected.includes(status)) return { status, headers, body }
      throw this.#failure(request, status, headers, errorIn(await whole(body)))
    })
  }

  async close(): Promise<void> {
    await (await this.#pool)?.close()
  }

  /** Loaded when it is needed: most processes keep their bytes elsewhere, and start the sooner. */
  #connections(): Promise<Pool> {
    return (this.#pool ??= import('undici').then(({ Pool }) => {
      const { connections, tryMs, caFile } = this.#options
      const connect = { timeout: tryMs, ...(caFile !== undefined && { ca: readFileSync(caFile) }) }
      return new Pool(this.#origin, { connections, headersTimeout: tryMs, bodyTimeout: tryMs, connect })
    }))
  }

  async #dispatch({ method, key, query, headers, body, workMs = 0 }: Request): Promise<Dispatcher.ResponseData> {
    const search = query ? `?${new URLSearchParams(query).toString()}` : ''
    const signed = aws4.sign(
      {
        ...{ service: 's3', region: this.#options.region, host: this.#host, method },
        path: `${this.#before}${key === '' ? '' : `/${key}`}${search}`.replace(/^\/\//, '/'),
        headers: {
          ...headers,
          'x-amz-date': basicDate(Date.now() + this.#ahead),
          'x-amz-content-sha256': body ? createHash('sha256').update(body).digest('hex') : NO_BODY,
          ...((body ?? method === 'PUT') && { 'content-length': String(body?.length ?? 0) }),
        },
      },
      this.#credentials,
    )
    const bodyMs = (body?.length ?? 0) / SLOWEST_BYTES_PER_MS
    const pool = await this.#connections()
    return await pool.request({
      method,
      path: signed.path ?? '',
      headers: signed.headers as Record<string, string>,
      body: body ?? null,
      headersTimeout: Math.ceil(this.#options.tryMs + bodyMs + workMs),
    })
  }

  #failure(request: Request, status: number, headers: Answer['headers'], error: ReturnType<typeof errorIn>): Error {
    const theirs = status === 403 && typeof headers['date'] === 'string' ? Date.parse(headers['date']) : NaN
    const ahead = theirs - Date.now()
    if (Math.abs(ahead - this.#ahead) > CLOCKS_DIFFER_MS) {
      this.#ahead = ahead
      return new S3Unavailable(`the server's clock is ${Math.round(ahead / 1000)} s ahead of ours`)
    }
    return failure(request, status, error ?? { code: '', message: '' })
  }

  async #retried<T>(run: (tries: number) => Promise<T>): Promise<T> {
    const deadline = performance.now() + this.#options.deadlineMs
    for (let tries = 1; ; tries++) {
      try {
        return await run(tries)
      } catch (cause) {
        if (cause instanceof S3Refused || cause instanceof NoSuchObject) throw cause
        this.#onFailure()
        const pause = Math.random() * Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** tries)
        if (performance.now() + pause >= deadline) throw asUnavailable(cause)
        await sleep(pause)
      }
    }
  }
}

/** `20260102T030405Z` */
const basicDate = (at: number): string => new Date(at).toISOString().replace(/[-:]|\.\d{3}/g, '')

const NO_BODY = createHash('sha256').digest('hex')

function failure(
  { method, key }: Request,
  status: number,
  { code, message }: { code: string; message: string },
): Error {
  const said = `${method} ${key}: ${[status, code, message].filter((word) => word !== '').join(' ')}`
  if (status >= 500 || status === 429 || status < 400 || LATER.has(code)) return new S3Unavailable(said)
  if (status === 404 && code !== 'NoSuchBucket') return new NoSuchObject(said)
  return new S3Refused(status, code, said)
}

export function asUnavailable(cause: unknown): S3Unavailable {
  if (cause instanceof S3Unavailable) return cause
  return new S3Unavailable(`S3 cannot be reached: ${cause instanceof Error ? cause.message : String(cause)}`, { cause })
}

async function whole(body: Dispatcher.ResponseData['body']): Promise<Buffer> {
  const pieces: Buffer[] = []
  let size = 0
  for await (const piece of body) {
    const octets: Buffer = piece
    size += octets.length
    if (size > MAX_DOCUMENT_BYTES) throw new S3Unavailable(`an answer of more than ${MAX_DOCUMENT_BYTES} octets`)
    pieces.push(octets)
  }
  return Buffer.concat(pieces)
}
