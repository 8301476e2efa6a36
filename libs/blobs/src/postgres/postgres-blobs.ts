/**
 * Blobs as rows of PostgreSQL, in a schema of their own: a key names a content, and several keys may name the same.
 */
import { ConstraintViolated, type Database, migrate, openPostgres, type PostgresOptions } from '@postbus/sql'
import { sql } from 'kysely'

import { BlobExists, type BlobStore, type ChunksPlace, NoSuchBlob } from '../blobs.ts'
import { CountedBody } from '../counted-body.ts'
import { keyPath, prefixPath } from '../key-path.ts'
import { BESIDE_OTHERS, CHUNK_BYTES, Chunks, serverOf } from './chunks.ts'
import { type BlobTables, migrations } from './migrations.ts'

export const BLOBS_SCHEMA = 'blobs'

/** Keys listed at once. */
const PAGE = 1000

/** @param url `postgres://user:password@host:port/database`; nothing is connected before it is needed */
export function postgresBlobs(url: string, options: Omit<PostgresOptions, 'schema'>): BlobStore {
  return new PostgresBlobs(url, options)
}

class PostgresBlobs implements BlobStore {
  readonly #db: Database<BlobTables>
  readonly #chunks: Chunks<BlobTables>
  readonly #server: string
  #migrated: Promise<unknown> | undefined

  constructor(url: string, options: Omit<PostgresOptions, 'schema'>) {
    this.#server = serverOf(url)
    this.#db = openPostgres<BlobTables>(url, { ...options, schema: BLOBS_SCHEMA })
    this.#chunks = new Chunks(this.#db, { table: 'blob', column: 'content' }, Date.now)
  }

  async put(
    key: string,
    body: AsyncIterable<Uint8Array>,
    { maxBytes = Infinity }: { maxBytes?: number } = {},
  ): Promise<{ size: number }> {
    keyPath(key)
    await this.#ready()
    const counted = new CountedBody(body, maxBytes)
    try {
      await counted.whole(
        CHUNK_BYTES,
        (bytes) => this.#putShort(key, bytes),
        (pieces) => this.#putLong(key, pieces),
      )
      return { size: counted.size }
    } catch (cause) {
      throw taken(cause) ? new BlobExists(`${key} exists`, { cause }) : cause
    }
  }

  async *read(key: string, range?: { offset: number; length?: number }): AsyncGenerator<Uint8Array> {
    const { content, size } = await this.#blob(key)
    const { offset = 0, length = Infinity } = range ?? {}
    yield* this.#chunks.read(content, offset, Math.min(size, offset + length))
  }

  async size(key: string): Promise<number> {
    return (await this.#blob(key)).size
  }

  async link(from: string, to: string): Promise<void> {
    keyPath(to)
    const { content, size } = await this.#blob(from)
    try {
      await this.#db.transaction(
        async ({ query }) =>
          void (await query
            .insertInto('blob')
            .values({ key: to, content, size, made_at: Date.now(), source: null })
            .execute()),
        BESIDE_OTHERS,
      )
    } catch (cause) {
      if (isMissing(cause)) throw new NoSuchBlob(`no blob ${from}`, { cause })
      if (!taken(cause)) throw cause
      if ((await this.#blob(to)).content !== content) throw new BlobExists(`${to} exists`, { cause })
    }
  }

  async adopt(key: string, place: Parameters<BlobStore['adopt']>[1]): Promise<boolean> {
    if (place.kind !== 'postgres' || place.server !== this.#server) return false
    keyPath(key)
    await this.#ready()
    const source = `${place.table} ${place.content}`
    try {
      await this.#copy(key, place, source)
      return true
    } catch (cause) {
      if (!taken(cause)) throw cause
      const there = await this.#blob(key)
      if (there.source !== source) throw new BlobExists(`${key} exists`, { cause })
      return true
    }
  }

  async delete(key: string): Promise<void> {
    keyPath(key)
    await this.#ready()
    await this.#db.transaction(async ({ query }) => {
      const gone = await query.deleteFrom('blob').where('key', '=', key).returning('content').executeTakeFirst()
      if (!gone) return
      const others = query.selectFrom('blob').select('key').where('content', '=', gone.content)
      await query
        .updateTable('content')
        .set({ gone_at: Date.now() })
        .where('id', '=', gone.content)
        .where(({ not, exists }) => not(exists(others)))
        .execute()
    }, BESIDE_OTHERS)
  }

  async *list(prefix: string): AsyncGenerator<{ key: string; size: number; modifiedAt: Date }> {
    prefixPath(prefix)
    await this.#ready()
    for (let after = ''; ;) {
      const rows = await this.#db.query
        .selectFrom('blob')
        .select(['key', 'size', 'made_at'])
        .where('key', '>=', prefix)
        // Behind all that a key is made of.
        .where('key', '<', `${prefix}~`)
        .where('key', '>', after)
        .orderBy('key')
        .limit(PAGE)
        .execute()
      for (const { key, size, made_at: madeAt } of rows) yield { key, size, modifiedAt: new Date(madeAt) }
      after = rows.at(-1)?.key ?? ''
      if (rows.length < PAGE) return
    }
  }

  async sweep(olderThan: Date): Promise<number> {
    await this.#ready()
    return await this.#chunks.sweep(olderThan)
  }

  async close(): Promise<void> {
    await this.#db.close()
  }

  async #putShort(key: string, bytes: Buffer): Promise<void> {
    await this.#db.transaction(async (transaction) => {
      const content = await this.#chunks.beginIn(transaction)
      const { query } = transaction
      if (bytes.length > 0) await query.insertInto('chunk').values({ content, number: 0, bytes }).execute()
      const row = { key, content, size: bytes.length, made_at: Date.now(), source: null }
      await query.insertInto('blob').values(row).execute()
    }, BESIDE_OTHERS)
  }

  async #putLong(key: string, body: AsyncIterable<Uint8Array>): Promise<void> {
    const content = await this.#chunks.begin()
    try {
      await this.#name(key, content, await this.#chunks.write(content, body))
    } catch (cause) {
      await this.#chunks.abandon(content)
      throw cause
    }
  }

  async #name(key: string, content: number, written: { size: number; chunks: number }): Promise<void> {
    await this.#db.transaction(async (transaction) => {
      await this.#chunks.assertWhole(transaction, content, written)
      const row = { key, content, size: written.size, made_at: Date.now(), source: null }
      await transaction.query.insertInto('blob').values(row).execute()
    }, BESIDE_OTHERS)
  }

  /** The server copies; the bytes do not come by here. */
  async #copy(key: string, { table, content: from }: ChunksPlace, source: string): Promise<void> {
    await this.#db.transaction(async (transaction) => {
      const { query } = transaction
      const content = await this.#chunks.beginIn(transaction)
      await sql`insert into chunk (content, number, bytes)
        select ${content}, number, bytes from ${sql.table(table)} where content = ${from}::bigint`.execute(query)
      const { size } = await query
        .selectFrom('chunk')
        .select(sql<number | null>`sum(length(bytes))`.as('size'))
        .where('content', '=', content)
        .executeTakeFirstOrThrow()
      if (size === null) throw new NoSuchBlob(`${source} is gone`)
      await query.insertInto('blob').values({ key, content, size, made_at: Date.now(), source }).execute()
    }, BESIDE_OTHERS)
  }

  async #blob(key: string): Promise<Pick<BlobTables['blob'], 'content' | 'size' | 'source'>> {
    keyPath(key)
    await this.#ready()
    const row = await this.#db.query
      .selectFrom('blob')
      .select(['content', 'size', 'source'])
      .where('key', '=', key)
      .executeTakeFirst()
    if (!row) throw new NoSuchBlob(`no blob ${key}`)
    return row
  }

  /** A migration that failed is tried again by whoever comes next. */
  async #ready(): Promise<void> {
    this.#migrated ??= migrate(this.#db, migrations).catch((cause: unknown) => {
      this.#migrated = undefined
      throw cause
    })
    await this.#migrated
  }
}

const taken = (cause: unknown): boolean => cause instanceof ConstraintViolated && cause.constraint === 'unique'
const isMissing = (cause: unknown): boolean => cause instanceof ConstraintViolated && cause.constraint === 'foreignKey'
