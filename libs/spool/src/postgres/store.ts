/**
 * Records written to PostgreSQL. Short messages are rows; all that arrive while a transaction is under way share the next. Longer ones
 * are written in chunks while they come, and a row names them when all are there.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { crc32 } from 'node:zlib'

import { gather, type Gatherer } from '@postbus/batch'
import { BESIDE_OTHERS, CHUNK_BYTES } from '@postbus/blobs/chunks'
import type { MailAccepted, QueueId } from '@postbus/contracts'
import { StorageBusy, StorageCorrupt, StorageFailed, StorageFull, type Transaction } from '@postbus/sql'
import type { Insertable } from 'kysely'

import { SpoolFull } from '../spool.ts'
import type { RecordStore, WholeBody } from '../store-writer.ts'
import type { LocalWriterOptions } from '../writer-options.ts'
import { eventIn } from './events.ts'
import type { SpoolTables } from './migrations.ts'
import { SpoolDatabase, type SpoolDatabaseOptions } from './open.ts'

type Row = Insertable<SpoolTables['record']>

/** A short message on its way. */
interface Waiting {
  row: Row & { bytes: Buffer }
  isOwn: boolean
}

/** In one transaction. */
const FLUSH_MAX_RECORDS = 256
const FLUSH_MAX_BYTES = 4 * 1024 * 1024
/** Records that wait for one; more are refused. */
const MAX_WAITING = 4096
/**
 * Whether a commit happened is not known when its answer is lost, and a sender that is told to come again would then be read twice. So a
 * record is put again under its id for so long, while the sender waits (RFC 5321 §4.5.3.2.6: ten minutes).
 */
const PUT_AGAIN_MS = 60_000
const PAUSE_MS = 250

export interface PostgresStorePorts extends Pick<LocalWriterOptions, 'onFlush'> {
  now(): number
  putAgainMs?: number
}

export class PostgresRecordStore implements RecordStore {
  readonly holdMaxBytes = CHUNK_BYTES
  readonly #database: SpoolDatabase
  readonly #now: () => number
  readonly #putAgainMs: number
  readonly #flushes: Gatherer<Waiting, boolean>
  onFailure = (): void => {}

  constructor(
    url: string,
    options: SpoolDatabaseOptions,
    { now, onFlush = () => {}, putAgainMs = PUT_AGAIN_MS }: PostgresStorePorts,
  ) {
    this.#database = new SpoolDatabase(url, options, now)
    this.#now = now
    this.#putAgainMs = putAgainMs
    this.#flushes = gather<Waiting, boolean>(
      async (waiting) => {
        const begun = performance.now()
        const stored = await this.#insertAll(waiting)
        const bytes = waiting.reduce((sum, { row }) => sum + row.size, 0)
        onFlush({ records: waiting.length, bytes, seconds: (performance.now() - begun) / 1000 })
        return stored
      },
      {
        maxItems: FLUSH_MAX_RECORDS,
        maxSize: FLUSH_MAX_BYTES,
        sizeOf: ({ row }) => row.bytes.length,
        maxWaiting: MAX_WAITING,
      },
    )
  }

  async create(queueId: QueueId, accepted: MailAccepted, body: WholeBody, isOwn: boolean): Promise<boolean> {
    const { size, crc, pieces } = body
    const row = this.#row(queueId, accepted, { size, crc })
    const whole = { ...row, bytes: Buffer.concat(pieces), content: null }
    return await asFull(this.#flushes.add({ row: whole, isOwn }))
  }

  async stream(
    queueId: QueueId,
    body: AsyncIterable<Uint8Array>,
    describe: (size: number) => MailAccepted,
    isOwn: boolean,
  ): Promise<MailAccepted | false> {
    const { chunks } = this.#database
    await this.#database.ready()
    const content = await asFull(chunks.begin())
    try {
      const summed = new Summed(body)
      const written = await asFull(chunks.write(content, summed.pieces()))
      const accepted = describe(written.size)
      const row = this.#row(queueId, accepted, { size: written.size, crc: summed.crc })
      const isNew = await asFull(
        this.#putAgain(async (isAgain) => {
          const stored = await this.#insert([{ ...row, bytes: null, content }], (transaction) =>
            chunks.assertWhole(transaction, content, written),
          )
          return stored.size === 1 || (isAgain && isOwn)
        }),
      )
      if (isNew) return accepted
      await chunks.abandon(content)
      return false
    } catch (cause) {
      await chunks.abandon(content)
      throw cause
    }
  }

  async accepted(queueId: QueueId): Promise<MailAccepted | null> {
    const { query } = await this.#database.ready()
    const row = await query
      .selectFrom('record')
      .select(['queue_id', 'event'])
      .where('queue_id', '=', queueId)
      .executeTakeFirst()
    return row ? eventIn(row) : null
  }

  async tryToWrite(): Promise<void> {
    await this.#database.ready()
    await this.#database.chunks.abandon(await this.#database.chunks.begin())
  }

  failedBy(cause: unknown): boolean {
    return (
      failures.some((kind) => cause instanceof kind) ||
      (cause instanceof SpoolFull && cause.cause instanceof StorageFull)
    )
  }

  async close(): Promise<void> {
    await this.#flushes.idle()
    await this.#database.close()
  }

  #row(queueId: QueueId, accepted: MailAccepted, { size, crc }: { size: number; crc: number }) {
    return { queue_id: queueId, written_at: this.#now(), event: JSON.stringify(accepted), size, crc }
  }

  /** Whether each was stored; one whose id is taken leaves the others alone. */
  async #insertAll(waiting: readonly Waiting[]): Promise<boolean[]> {
    return await this.#putAgain(async (isAgain) => {
      const stored = await this.#insert(waiting.map(({ row }) => row))
      // Of two in one flush the first was stored.
      return waiting.map(({ row, isOwn }) => stored.delete(row.queue_id) || (isAgain && isOwn))
    })
  }

  /** @returns the ids that were not there yet */
  async #insert(
    rows: readonly Row[],
    before: (transaction: Transaction<SpoolTables>) => Promise<void> = async () => {},
  ): Promise<Set<string>> {
    const db = await this.#database.ready()
    const stored = await db.transaction(async (transaction) => {
      await before(transaction)
      return await transaction.query
        .insertInto('record')
        .values([...rows])
        .onConflict((conflict) => conflict.column('queue_id').doNothing())
        .returning('queue_id')
        .execute()
    }, BESIDE_OTHERS)
    return new Set(stored.map(({ queue_id: id }) => id))
  }

  async #putAgain<T>(put: (isAgain: boolean) => Promise<T>): Promise<T> {
    const deadline = performance.now() + this.#putAgainMs
    for (let isAgain = false; ; isAgain = true) {
      try {
        return await put(isAgain)
      } catch (cause) {
        if (!(cause instanceof StorageBusy || cause instanceof StorageFailed)) throw cause
        if (performance.now() + PAUSE_MS > deadline) throw cause
        this.onFailure()
      }
      await sleep(PAUSE_MS)
    }
  }
}

const failures = [StorageBusy, StorageFailed, StorageFull, StorageCorrupt]

async function asFull<T>(work: Promise<T>): Promise<T> {
  try {
    return await work
  } catch (cause) {
    throw cause instanceof StorageFull ? new SpoolFull('the disk of the database is full', { cause }) : cause
  }
}

/** The checksum of what came by. */
class Summed {
  readonly #body: AsyncIterable<Uint8Array>
  crc = 0

  constructor(body: AsyncIterable<Uint8Array>) {
    this.#body = body
  }

  async *pieces(): AsyncGenerator<Uint8Array> {
    for await (const piece of this.#body) {
      this.crc = crc32(piece, this.crc)
      yield piece
    }
  }
}
