/**
 * The writer of one process. Small messages wait in memory for the flush they share with all that arrived meanwhile; large
 * ones stream into a file of their own.
 */
import { randomBytes } from 'node:crypto'
import { performance } from 'node:perf_hooks'
import { crc32 } from 'node:zlib'

import { atMost, BatchFull, gather, type Gatherer } from '@postbus/batch'
import type { MailAccepted, QueueId } from '@postbus/contracts'
import { batched } from '@postbus/tracing'

import { localDisk } from './disk.ts'
import { HeldBody, HeldBytes } from './held-body.ts'
import { checkWriterName, createLayout, type Layout, layoutOf, lockPath, shardOf, timeOf } from './layout.ts'
import { holdNewLock, type Lock, removeLock } from './lock.ts'
import { encodeHeader, HEADER_BYTES, MAX_EVENT_BYTES } from './record.ts'
import { type FileWriterPorts, readRecordFile, writeRecordFile } from './record-file.ts'
import { Room } from './room.ts'
import { type Appending, SegmentWriter } from './segment-writer.ts'
import { SpoolFull, type SpoolWriter } from './spool.ts'
import { type SpoolWriterLimits, type LocalWriterOptions, writerLimits } from './writer-options.ts'

/** How much older than now an id may be, and how much younger, to go into a segment. */
const OLDEST_ID_MS = 15 * 60_000
const YOUNGEST_ID_MS = 60_000
/** Large messages use two of libuv's four threads; the flushes have the others. */
const FILES_ON_DISK = 2
const AGE_EVERY_MS = 10_000

type Describe = (size: number) => MailAccepted

/** Makes the directory where it is missing. */
export async function openLocalWriter(dir: string, options: LocalWriterOptions): Promise<SpoolWriter> {
  checkWriterName(options.writerName)
  const limits = writerLimits(options)
  const layout = layoutOf(dir)
  await createLayout(layout)
  const room = new Room(layout, options.disk ?? localDisk, limits)
  await room.measure()
  return new LocalSpoolWriter(layout, room, limits, options)
}

class LocalSpoolWriter implements SpoolWriter {
  readonly #layout: Layout
  readonly #limits: SpoolWriterLimits
  readonly #room: Room
  readonly #now: () => number
  readonly #writer = randomBytes(8).toString('hex')
  readonly #lock: Lock
  readonly #segments: SegmentWriter
  readonly #flushes: Gatherer<Appending, void>
  readonly #files: FileWriterPorts
  readonly #held: HeldBytes
  readonly #aging: NodeJS.Timeout
  readonly #inHand = new Set<Promise<unknown>>()
  #writingFiles = 0
  #closed = false

  constructor(layout: Layout, room: Room, limits: SpoolWriterLimits, options: LocalWriterOptions) {
    const { disk = localDisk, now = Date.now, writerName, onFlush = () => {} } = options
    this.#layout = layout
    this.#limits = limits
    this.#room = room
    this.#now = now
    this.#held = new HeldBytes(limits.heldMaxBytes)
    this.#files = { layout, disk, writer: this.#writer, now, onDisk: atMost(FILES_ON_DISK) }
    this.#segments = new SegmentWriter({ layout, disk, writerName, writer: this.#writer }, limits)
    this.#flushes = gather<Appending, void>(
      async (group) => {
        const begun = performance.now()
        await this.#segments.append(group)
        const bytes = group.reduce((sum, { length }) => sum + length, 0)
        this.#room.wrote(bytes)
        onFlush({ records: group.length, bytes, seconds: (performance.now() - begun) / 1000 })
        return group.map(() => undefined)
      },
      {
        maxItems: limits.flushMaxRecords,
        maxSize: limits.flushMaxBytes,
        sizeOf: ({ length }) => length,
        maxWaiting: limits.maxWaiting,
        origin: batched('spool flush'),
      },
    )
    // While we hold it, nobody takes our unfinished files for those of a dead writer.
    this.#lock = holdNewLock(lockPath(layout, this.#writer))
    this.#aging = setInterval(() => void this.#segments.endIfOld(), AGE_EVERY_MS).unref()
  }

  hasRoom(): boolean {
    return !this.#closed && this.#writingFiles < this.#limits.maxFiles && this.#room.has()
  }

  put(queueId: QueueId, body: AsyncIterable<Uint8Array>, describe: Describe): Promise<MailAccepted> {
    return this.#track(this.#put(queueId, body, describe))
  }

  putIfAbsent(queueId: QueueId, body: AsyncIterable<Uint8Array>, describe: Describe): Promise<MailAccepted> {
    return this.#track(this.#putIfAbsent(queueId, body, describe))
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    clearInterval(this.#aging)
    await Promise.allSettled(this.#inHand)
    await this.#segments.end()
    this.#lock.close()
    removeLock(lockPath(this.#layout, this.#writer))
  }

  async #put(queueId: QueueId, source: AsyncIterable<Uint8Array>, describe: Describe): Promise<MailAccepted> {
    this.#admit()
    const body = new HeldBody(source, this.#limits.holdMaxBytes, this.#held)
    try {
      let accepted: MailAccepted | undefined
      if (this.#fitsSegment(queueId) && (await body.fill())) {
        accepted = describe(body.size)
        const item = this.#appending(queueId, body, accepted)
        if (item) {
          await this.#flushes.add(item)
          return accepted
        }
      }
      const put = await this.#putFile(queueId, body.stream(), (size) => accepted ?? describe(size))
      if (put === false) throw new Error(`${queueId} names a record already`)
      return put
    } catch (cause) {
      throw this.#failure(cause)
    } finally {
      await body.leave()
    }
  }

  async #putIfAbsent(queueId: QueueId, body: AsyncIterable<Uint8Array>, describe: Describe): Promise<MailAccepted> {
    const earlier = await this.#recordOf(queueId)
    if (earlier) return earlier
    try {
      this.#admit()
      const accepted = await this.#putFile(queueId, body, describe)
      if (accepted !== false) return accepted
    } catch (cause) {
      throw this.#failure(cause)
    }
    const winner = await this.#recordOf(queueId)
    if (!winner) throw new Error(`${queueId} was freed while it was put again`)
    return winner
  }

  /** Whoever put it may not have lived to make its name durable. */
  async #recordOf(queueId: QueueId): Promise<MailAccepted | null> {
    const record = await readRecordFile(this.#layout, queueId)
    if (record) await this.#files.disk.syncDirectory(shardOf(this.#layout, queueId))
    return record?.accepted ?? null
  }

  #admit(): void {
    if (!this.hasRoom()) throw new SpoolFull('the spool is full or closed')
  }

  /** Ids whose time is far from now, as those of reports, would be searched for in the wrong segments. */
  #fitsSegment(queueId: QueueId): boolean {
    const age = this.#now() - timeOf(queueId)
    return age <= OLDEST_ID_MS && age >= -YOUNGEST_ID_MS
  }

  /** Null where the envelope is too long for a record of a segment. */
  #appending(queueId: QueueId, { pieces, size }: HeldBody, accepted: MailAccepted): Appending | null {
    const event = Buffer.from(JSON.stringify(accepted))
    if (event.length > MAX_EVENT_BYTES) return null
    const facts = {
      writer: this.#writer,
      queueId,
      writtenAt: this.#now(),
      eventLength: event.length,
      eventCrc: crc32(event),
      bytesLength: size,
      bytesCrc: pieces.reduce((crc, piece) => crc32(piece, crc), 0),
      apart: false,
    }
    return {
      queueId,
      length: HEADER_BYTES + event.length + size,
      encode: (flush) => [encodeHeader({ ...facts, flush }), event, ...pieces],
    }
  }

  async #putFile(queueId: QueueId, body: AsyncIterable<Uint8Array>, describe: Describe): Promise<MailAccepted | false> {
    if (this.#writingFiles >= this.#limits.maxFiles) throw new SpoolFull('too many large messages at once')
    this.#writingFiles++
    try {
      const accepted = await writeRecordFile(this.#files, queueId, body, describe)
      if (accepted !== false) this.#room.wrote(accepted.size)
      return accepted
    } finally {
      this.#writingFiles--
    }
  }

  #failure(cause: unknown): unknown {
    if (cause instanceof BatchFull) return new SpoolFull('the disk does not keep up', { cause })
    if (cause instanceof SpoolFull && cause.cause !== undefined) this.#room.wasFull()
    return cause
  }

  #track<T>(work: Promise<T>): Promise<T> {
    this.#inHand.add(work)
    const done = (): boolean => this.#inHand.delete(work)
    work.then(done, done)
    return work
  }
}
