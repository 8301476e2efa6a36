/**
 * Records written to PostgreSQL. Short messages are rows; all that arrive while a transaction is under way share the next. Longer ones
 * are written in chunks while they come, and a row names them when all are there.
 */
import { crc32 } from 'node:zlib'

import { gather, type Gatherer } from '@postbus/batch'
import { BESIDE_OTHERS, CHUNK_BYTES } from '@postbus/blobs/chunks'
import type { MailAccepted, QueueId } from '@postbus/contracts'
import { ConstraintViolated, StorageBusy, StorageCorrupt, StorageFailed, StorageFull } from '@postbus/sql'
import type { Insertable } from 'kysely'

import { SpoolFull } from '../spool.ts'
import type { RecordStore, WholeBody } from '../store-writer.ts'
import type { LocalWriterOptions } from '../writer-options.ts'
import { eventIn } from './events.ts'
import type { SpoolTables } from './migrations.ts'
import { SpoolDatabase, type SpoolDatabaseOptions } from './open.ts'

type Row = Insertable<SpoolTables['record']> & { bytes: Buffer }

/** In one transaction. */
const FLUSH_MAX_RECORDS = 256
const FLUSH_MAX_BYTES = 4 * 1024 * 1024
/** Records that wait for one; more are refused. */
const MAX_WAITING = 4096

export class PostgresRecordStore implements RecordStore {
  readonly holdMaxBytes = CHUNK_BYTES
  readonly #database: SpoolDatabase
  readonly #now: () => number
  readonly #flushes: Gatherer<Row, boolean>

  constructor(
    url: string,
    options: SpoolDatabaseOptions,
    { now, onFlush = () => {} }: { now: () => number } & Pick<LocalWriterOptions, 'onFlush'>,
  ) {
    this.#database = new SpoolDatabase(url, options, now)
    this.#now = now
    this.#flushes = gather<Row, boolean>(
      async (rows) => {
        const begun = performance.now()
        const stored = await this.#insertAll(rows)
        const bytes = rows.reduce((sum, row) => sum + row.size, 0)
        onFlush({ records: rows.length, bytes, seconds: (performance.now() - begun) / 1000 })
        return stored
      },
      {
        maxItems: FLUSH_MAX_RECORDS,
        maxSize: FLUSH_MAX_BYTES,
        sizeOf: ({ bytes }) => bytes.length,
        maxWaiting: MAX_WAITING,
      },
    )
  }

  async create(queueId: QueueId, accepted: MailAccepted, body: WholeBody): Promise<boolean> {
    const { size, crc, pieces } = body
    const row = this.#row(queueId, accepted, { size, crc })
    return await asFull(this.#flushes.add({ ...row, bytes: Buffer.concat(pieces), content: null }))
  }

  async stream(
    queueId: QueueId,
    body: AsyncIterable<Uint8Array>,
    describe: (size: number) => MailAccepted,
  ): Promise<MailAccepted | false> {
    const { chunks } = this.#database
    await this.#database.ready()
    const content = await asFull(chunks.begin())
    try {
      const summed = new Summed(body)
      const written = await asFull(chunks.write(content, summed.pieces()))
      const accepted = describe(written.size)
      const row = this.#row(queueId, accepted, { size: written.size, crc: summed.crc })
      const db = await this.#database.ready()
      await asFull(
        db.transaction(async (transaction) => {
          await chunks.assertWhole(transaction, content, written)
          await transaction.query
            .insertInto('record')
            .values({ ...row, bytes: null, content })
            .execute()
        }, BESIDE_OTHERS),
      )
      return accepted
    } catch (cause) {
      await chunks.abandon(content)
      if (isTaken(cause)) return false
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
  async #insertAll(rows: readonly Row[]): Promise<boolean[]> {
    const db = await this.#database.ready()
    const stored = await db.transaction(
      ({ query }) =>
        query
          .insertInto('record')
          .values([...rows])
          .onConflict((conflict) => conflict.column('queue_id').doNothing())
          .returning('queue_id')
          .execute(),
      BESIDE_OTHERS,
    )
    const ids = new Set(stored.map(({ queue_id: id }) => id))
    // Of two in one flush the first was stored.
    return rows.map(({ queue_id: id }) => ids.delete(id))
  }
}

const failures = [StorageBusy, StorageFailed, StorageFull, StorageCorrupt]

const isTaken = (cause: unknown): boolean => cause instanceof ConstraintViolated && cause.constraint === 'unique'

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
