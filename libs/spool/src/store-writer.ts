/**
 * The writer of a spool that others run: an object store, a database. What fits is held in memory until it is whole and stored at once;
 * longer messages are handed on while they come. What the store cannot take for now is refused at the door.
 */
import { crc32 } from 'node:zlib'

import { BatchFull } from '@postbus/batch'
import type { MailAccepted, QueueId } from '@postbus/contracts'

import { HeldBody, HeldBytes } from './held-body.ts'
import { SpoolFull, type SpoolWriter } from './spool.ts'
import { StoreGate } from './store-gate.ts'

type Describe = (size: number) => MailAccepted

export interface RecordStore {
  /** Messages up to this are held in memory whole. */
  readonly holdMaxBytes: number
  /**
   * Durable when it resolves. False: there is a record under this id already, and nothing was kept.
   * @param isOwn nobody else writes this id
   */
  create(queueId: QueueId, accepted: MailAccepted, body: WholeBody, isOwn: boolean): Promise<boolean>
  /** As `create`, for a body that is longer; `false` where `create` says so. @throws whatever `body` throws; nothing is kept */
  stream(
    queueId: QueueId,
    body: AsyncIterable<Uint8Array>,
    describe: Describe,
    isOwn: boolean,
  ): Promise<MailAccepted | false>
  /** The event of the record, if there is one. */
  accepted(queueId: QueueId): Promise<MailAccepted | null>
  /** Writes something of no importance. */
  tryToWrite(): Promise<unknown>
  /** Told of every try that failed, while others may still succeed. */
  onFailure: () => void
  /** Whether it was the store that failed, and not what it was given. */
  failedBy(cause: unknown): boolean
  close(): Promise<void>
}

export interface WholeBody {
  pieces: readonly Uint8Array[]
  size: number
  crc: number
}

export interface StoreWriterLimits {
  /** What all messages together may hold in memory; more are refused with SpoolFull. */
  heldMaxBytes: number
  /** Messages under way, and longer ones among them; more are refused with SpoolFull. */
  maxInHand: number
  maxStreams: number
}

export const storeWriterLimits: StoreWriterLimits = {
  heldMaxBytes: 256 * 1024 * 1024,
  maxInHand: 4096,
  maxStreams: 32,
}

export class StoreWriter implements SpoolWriter {
  readonly #store: RecordStore
  readonly #limits: StoreWriterLimits
  readonly #held: HeldBytes
  readonly #gate: StoreGate
  readonly #inHand = new Set<Promise<unknown>>()
  #streams = 0
  #closed: Promise<void> | undefined

  constructor(store: RecordStore, options: Partial<StoreWriterLimits> = {}) {
    this.#store = store
    this.#limits = {
      heldMaxBytes: options.heldMaxBytes ?? storeWriterLimits.heldMaxBytes,
      maxInHand: options.maxInHand ?? storeWriterLimits.maxInHand,
      maxStreams: options.maxStreams ?? storeWriterLimits.maxStreams,
    }
    this.#held = new HeldBytes(this.#limits.heldMaxBytes)
    this.#gate = new StoreGate(() => store.tryToWrite())
    store.onFailure = () => this.#gate.failed()
  }

  hasRoom(): boolean {
    const { maxInHand, maxStreams } = this.#limits
    return this.#gate.isOpen && !this.#held.full && this.#inHand.size < maxInHand && this.#streams < maxStreams
  }

  put(queueId: QueueId, body: AsyncIterable<Uint8Array>, describe: Describe): Promise<MailAccepted> {
    return this.#track(async () => {
      const accepted = await this.#create(queueId, body, describe, true)
      if (accepted === false) throw new Error(`${queueId} names a record already`)
      return accepted
    })
  }

  putIfAbsent(queueId: QueueId, body: AsyncIterable<Uint8Array>, describe: Describe): Promise<MailAccepted> {
    return this.#track(async () => {
      const there = (): Promise<MailAccepted | null> => this.#watched(() => this.#store.accepted(queueId))
      const accepted = (await there()) || (await this.#create(queueId, body, describe, false)) || (await there())
      if (!accepted) throw new Error(`${queueId} was freed while it was put again`)
      return accepted
    })
  }

  close(): Promise<void> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  async #close(): Promise<void> {
    this.#gate.close()
    await Promise.allSettled(this.#inHand)
    await this.#store.close()
  }

  async #create(
    queueId: QueueId,
    source: AsyncIterable<Uint8Array>,
    describe: Describe,
    isOwn: boolean,
  ): Promise<MailAccepted | false> {
    const body = new HeldBody(source, this.#store.holdMaxBytes, this.#held)
    try {
      if (!this.#gate.isOpen) throw new SpoolFull('the spool cannot be written now')
      if (await body.fill()) {
        const accepted = describe(body.size)
        const { pieces, size } = body
        const crc = pieces.reduce((sum, piece) => crc32(piece, sum), 0)
        const isNew = await this.#watched(() => this.#store.create(queueId, accepted, { pieces, size, crc }, isOwn))
        return isNew && accepted
      }
      if (body.size <= this.#store.holdMaxBytes) throw new SpoolFull('too much waits for the spool')
      return await this.#stream(() => this.#store.stream(queueId, body.stream(), describe, isOwn))
    } finally {
      await body.leave()
    }
  }

  async #stream<T>(work: () => Promise<T>): Promise<T> {
    if (this.#streams >= this.#limits.maxStreams) throw new SpoolFull('too many large messages at once')
    this.#streams++
    try {
      return await this.#watched(work)
    } finally {
      this.#streams--
    }
  }

  /** The gate learns how it went. */
  async #watched<T>(work: () => Promise<T>): Promise<T> {
    try {
      const result = await work()
      this.#gate.succeeded()
      return result
    } catch (cause) {
      if (cause instanceof BatchFull) throw new SpoolFull('the store does not keep up', { cause })
      if (this.#store.failedBy(cause)) this.#gate.failed()
      throw cause
    }
  }

  #track<T>(run: () => Promise<T>): Promise<T> {
    if (this.#closed || this.#inHand.size >= this.#limits.maxInHand) {
      return Promise.reject(new SpoolFull('the spool is full or closed'))
    }
    const work = run()
    this.#inHand.add(work)
    const done = (): boolean => this.#inHand.delete(work)
    work.then(done, done)
    return work
  }
}
