/**
 * Bytes as rows: a content is a row of `content`, and its octets are rows of `chunk`, all of one length but the last. Blobs have these
 * tables, and so has a spool.
 *
 * A long content is written in many short transactions, so that a slow sender holds no connection; nobody finds it until a row
 * that names it is committed, and that happens only if all its chunks are there. One that is no longer named keeps its chunks for
 * a while, for those who are reading it.
 */
import { type Database, isPostgres, type Transaction } from '@postbus/sql'
import { sql } from 'kysely'

import { NoSuchBlob } from '../blobs.ts'

/** A chunk is read at once; PostgreSQL itself cuts it into pages. */
export const CHUNK_BYTES = 256 * 1024
/** Chunks written in one transaction. */
const WRITTEN_AT_ONCE = 4
/** Readers have so long, from when a content is no longer named. */
const GRACE_MS = 10 * 60_000
/** Contents removed in one transaction. */
const REMOVED_AT_ONCE = 100

export interface ChunkTables {
  content: { id: number; begun_at: number; gone_at: number | null }
  chunk: { content: number; number: number; bytes: Uint8Array }
}

/** The tables, for a migration. Octets of mail do not get shorter: the server shall not try. */
export const chunkTables = `
  create table content (
    id bigint generated always as identity primary key,
    begun_at bigint not null,
    gone_at bigint
  );
  create index content_gone on content (gone_at) where gone_at is not null;
  create table chunk (
    content bigint not null,
    number integer not null,
    bytes bytea not null,
    primary key (content, number)
  );
  alter table chunk alter column bytes set storage external;
  alter table chunk set (autovacuum_vacuum_scale_factor = 0.02, toast.autovacuum_vacuum_scale_factor = 0.02);`

/** Transactions that need nothing for themselves. */
export const BESIDE_OTHERS = { locks: [] }

export class Chunks<Tables extends ChunkTables> {
  readonly #db: Database<ChunkTables>
  readonly #now: () => number
  /** The name of a table that rows with `named` stand in: what they name is there to stay. */
  readonly #named: { table: string; column: string }

  constructor(db: Database<Tables>, named: { table: string; column: string }, now: () => number) {
    // Tables has these too.
    this.#db = db as unknown as Database<ChunkTables>
    this.#named = named
    this.#now = now
  }

  /** A content that is not whole yet. */
  async begin(): Promise<number> {
    return await this.#db.transaction((transaction) => this.beginIn(transaction), BESIDE_OTHERS)
  }

  async beginIn(transaction: Transaction<ChunkTables>): Promise<number> {
    const { id } = await transaction.query
      .insertInto('content')
      .values({ begun_at: this.#now(), gone_at: null } as never)
      .returning('id')
      .executeTakeFirstOrThrow()
    return id
  }

  /** @returns how many chunks were written */
  async write(content: number, body: AsyncIterable<Uint8Array>): Promise<{ size: number; chunks: number }> {
    let size = 0
    let chunks = 0
    let waiting: Buffer[] = []
    const flush = async (): Promise<void> => {
      const rows = waiting.map((bytes, index) => ({ content, number: chunks + index, bytes }))
      waiting = []
      if (rows.length === 0) return
      await this.#db.transaction(
        async ({ query }) => void (await query.insertInto('chunk').values(rows).execute()),
        BESIDE_OTHERS,
      )
      chunks += rows.length
    }
    for await (const bytes of inChunks(body)) {
      size += bytes.length
      waiting.push(bytes)
      if (waiting.length === WRITTEN_AT_ONCE) await flush()
    }
    await flush()
    return { size, chunks }
  }

  /** To be asked before a content is named: a server that crashed meanwhile may have lost what it had said was written. */
  async assertWhole(
    transaction: Transaction<ChunkTables>,
    content: number,
    { size, chunks }: { size: number; chunks: number },
  ): Promise<void> {
    const found = await transaction.query
      .selectFrom('chunk')
      .select([sql<number>`count(*)`.as('chunks'), sql<number>`coalesce(sum(length(bytes)), 0)`.as('size')])
      .where('content', '=', content)
      .executeTakeFirstOrThrow()
    if (found.size !== size || found.chunks !== chunks) throw new Error(`content ${content} is not whole`)
  }

  /** The octets `[start, end)` of a content of at least `end`. @throws NoSuchBlob it went */
  async *read(content: number, start: number, end: number): AsyncGenerator<Uint8Array> {
    for (let at = start; at < end;) {
      const number = Math.floor(at / CHUNK_BYTES)
      const from = at - number * CHUNK_BYTES
      const length = Math.min(end - at, CHUNK_BYTES - from)
      const row = await this.#db.query
        .selectFrom('chunk')
        .select(sql<Uint8Array>`substring(bytes from ${from + 1}::integer for ${length}::integer)`.as('octets'))
        .where('content', '=', content)
        .where('number', '=', number)
        .executeTakeFirst()
      if (row?.octets.length !== length) throw new NoSuchBlob(`content ${content} is gone`)
      yield row.octets
      at += length
    }
  }

  /** Whoever cannot take it away now leaves it to the sweep. */
  async abandon(content: number): Promise<void> {
    await this.#db.transaction(({ query }) => this.#remove(query, [content]), BESIDE_OTHERS).catch(() => undefined)
  }

  /** Removes what was begun before this time and is not whole, and what nobody can be reading any more. @returns how many of the former */
  async sweep(begunBefore: Date): Promise<number> {
    let unfinished = 0
    for (;;) {
      const removed = await this.#db.transaction(async ({ query }) => {
        const { table, column } = this.#named
        const rows = await query
          .selectFrom('content')
          .select(['id', 'gone_at'])
          .where((where) =>
            where.or([
              where('gone_at', '<', this.#now() - GRACE_MS),
              where.and([where('gone_at', 'is', null), where('begun_at', '<', begunBefore.getTime())]),
            ]),
          )
          .where(sql<boolean>`not exists (select from ${sql.table(table)} where ${sql.ref(column)} = content.id)`)
          .limit(REMOVED_AT_ONCE)
          .forUpdate()
          .skipLocked()
          .execute()
        await this.#remove(
          query,
          rows.map(({ id }) => id),
        )
        return rows
      }, BESIDE_OTHERS)
      unfinished += removed.filter(({ gone_at }) => gone_at === null).length
      if (removed.length < REMOVED_AT_ONCE) return unfinished
    }
  }

  async #remove(query: Transaction<ChunkTables>['query'], contents: readonly number[]): Promise<void> {
    if (contents.length === 0) return
    // In this order: a row that names one of them stops it all.
    await query.deleteFrom('content').where('id', 'in', contents).execute()
    await query.deleteFrom('chunk').where('content', 'in', contents).execute()
  }
}

/** What a place in this server is called. @throws TypeError */
export function serverOf(url: string): string {
  if (!isPostgres(url)) throw new TypeError(`not a PostgreSQL URL: ${url}`)
  const { host, pathname } = new URL(url)
  return `${host}${pathname}`
}

async function* inChunks(body: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer> {
  let held: Uint8Array[] = []
  let size = 0
  for await (const piece of body) {
    held.push(piece)
    size += piece.length
    while (size >= CHUNK_BYTES) {
      const all = Buffer.concat(held)
      yield all.subarray(0, CHUNK_BYTES)
      held = [all.subarray(CHUNK_BYTES)]
      size -= CHUNK_BYTES
    }
  }
  if (size > 0) yield Buffer.concat(held)
}
