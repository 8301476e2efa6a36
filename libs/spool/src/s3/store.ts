/**
 * Records written to S3, each by one request. A longer one is sent in parts while it comes; its first part, which has the header, is
 * sent last, when size and checksum are known. Nothing is there until all parts are put together.
 */
import { randomBytes } from 'node:crypto'
import { crc32 } from 'node:zlib'

import type { MailAccepted, QueueId } from '@postbus/contracts'
import { Bucket, inParts, type S3Options, S3Refused, S3Unavailable, type Upload } from '@postbus/s3'

import type { RecordStore, WholeBody } from '../store-writer.ts'
import { recordFront } from '../stored-record.ts'
import type { LocalWriterOptions } from '../writer-options.ts'
import { keyOf, readBeginning } from './records.ts'

/** Read in the hope that it is header and event. */
const FIRST_BYTES = 8 * 1024

export class S3RecordStore implements RecordStore {
  readonly holdMaxBytes: number
  onFailure = (): void => {}
  readonly #bucket: Bucket
  readonly #now: () => number
  readonly #onFlush: NonNullable<LocalWriterOptions['onFlush']>
  readonly #writer = randomBytes(8).toString('hex')

  /** @param location `s3://bucket/prefix` */
  constructor(
    location: string,
    options: S3Options,
    { now, onFlush = () => {} }: { now: () => number } & Pick<LocalWriterOptions, 'onFlush'>,
  ) {
    this.holdMaxBytes = options.partBytes
    this.#bucket = new Bucket(location, options, () => this.onFailure())
    this.#now = now
    this.#onFlush = onFlush
  }

  async create(queueId: QueueId, accepted: MailAccepted, body: WholeBody, isOwn: boolean): Promise<boolean> {
    const object = Buffer.concat([...this.#front(queueId, accepted, body), ...body.pieces])
    const begun = performance.now()
    const isNew = await this.#bucket.create(keyOf(queueId), object, { ownKey: isOwn })
    this.#onFlush({ records: 1, bytes: object.length, seconds: (performance.now() - begun) / 1000 })
    return isNew
  }

  async stream(
    queueId: QueueId,
    body: AsyncIterable<Uint8Array>,
    describe: (size: number) => MailAccepted,
    isOwn: boolean,
  ): Promise<MailAccepted | false> {
    const upload = await this.#bucket.upload(keyOf(queueId), { ownKey: isOwn })
    try {
      const { first, size, crc } = await this.#sendBehindFirst(upload, body)
      const accepted = describe(size)
      await upload.part(1, Buffer.concat([...this.#front(queueId, accepted, { size, crc }), first]))
      if (await upload.complete()) return accepted
      await upload.abandon()
      return false
    } catch (cause) {
      // Whoever cannot end it now leaves it to the sweep.
      await upload.abandon().catch(() => undefined)
      throw cause
    }
  }

  async accepted(queueId: QueueId): Promise<MailAccepted | null> {
    return (await readBeginning(this.#bucket, queueId, FIRST_BYTES))?.accepted ?? null
  }

  tryToWrite(): Promise<void> {
    return this.#bucket.tryToWrite()
  }

  failedBy(cause: unknown): boolean {
    return cause instanceof S3Unavailable || cause instanceof S3Refused
  }

  close(): Promise<void> {
    return this.#bucket.close()
  }

  async #sendBehindFirst(
    upload: Upload,
    body: AsyncIterable<Uint8Array>,
  ): Promise<{ first: Buffer; size: number; crc: number }> {
    let first: Buffer = Buffer.alloc(0)
    let size = 0
    let crc = 0
    let number = 0
    for await (const { bytes } of inParts(body, this.holdMaxBytes)) {
      crc = crc32(bytes, crc)
      size += bytes.length
      if (++number === 1) first = bytes
      else await upload.part(number, bytes)
    }
    return { first, size, crc }
  }

  #front(queueId: QueueId, accepted: MailAccepted, body: { size: number; crc: number }): Buffer[] {
    return recordFront({ queueId, writer: this.#writer, writtenAt: this.#now() }, accepted, body)
  }
}
