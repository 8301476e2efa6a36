/**
 * A database behind the storage port: a SQLite file (WAL, synchronous=FULL), which several processes of one machine may use, or a
 * PostgreSQL schema for many machines. One thread writes, several read, and one fills the text index: a search never stalls a
 * delivery, and none of them stalls the event loop. One message is read right here: waking a thread takes longer.
 */
import type { BlobsAt } from '@postbus/blobs'
import { isPostgres, migrate, openDatabase, type PostgresOptions } from '@postbus/sql'

import type { MailStorage, Outcome, Reads, Writes } from '../../mailbox/storage.ts'
import { MAX_WRITERS } from './lanes.ts'
import { migrations } from './migrations.ts'
import { nearReader } from './near-reader.ts'
import { defaultLimits, type StorageLimits } from './operation.ts'
import { createTextIndex, textIndexPath } from './text-index/fts5/schema.ts'
import type { Indexed } from './text-index/text-index.ts'
import type { ThreadData } from './thread.ts'
import { type Notices, StorageThread } from './threads.ts'

export interface StorageOptions {
  /** A path, or `postgres://…`. */
  database: string
  /** For reading sections and searching large messages. */
  blobs: BlobsAt
  readThreads?: number
  /** SQLite: page cache of each thread. */
  cacheBytes?: number
  /** Header fields kept by each reading thread for who asks for the same again. */
  keptHeaderBytes?: number
  /** PostgreSQL: `connections` is what all threads have together. */
  server?: Omit<PostgresOptions, 'schema'>
  limits?: Partial<StorageLimits>
}

export const SCHEMA = 'mailstore'

const MIB = 1024 ** 2

/** What may take longer than others like to wait. */
const slow: ReadonlySet<keyof Reads> = new Set([
  ...(['search', 'sort', 'thread'] as const),
  ...(['messagesToCheck', 'countersToCheck', 'accountToCheck'] as const),
])

export async function openStorage(options: StorageOptions): Promise<MailStorage> {
  const { database, blobs, readThreads = 2, cacheBytes = 32 * MIB, keptHeaderBytes = 16 * MIB, server = {} } = options
  const setup = openDatabase(database, { ...server, schema: SCHEMA })
  try {
    await migrate(setup, migrations)
  } finally {
    await setup.close()
  }
  const index = isPostgres(database) ? null : textIndexPath(database)
  if (index !== null) await createTextIndex(index)

  const { connections = 10, waiting = () => {}, recovered = () => {}, ...limits } = server
  const shares = shareOut(connections, readThreads)
  const troubles = toldOnce(waiting, recovered)
  const threadFor = (role: ThreadData['role']): StorageThread =>
    new StorageThread(
      {
        ...{ role, index, blobs, limits: { ...defaultLimits, ...options.limits }, keptHeaderBytes },
        ...{ database, options: { ...limits, schema: SCHEMA, cacheBytes, connections: shares[role] } },
      },
      troubles(),
    )
  const near = await nearReader(database, blobs, { ...limits, ...troubles(), schema: SCHEMA })
  const writer = threadFor('write')
  // Every mailstore writes, and the first delivery should not wait for a thread to begin.
  writer.start()
  const indexer = threadFor('index')
  const readers = Array.from({ length: readThreads }, () => threadFor('read'))

  // Searches and checks keep to the last thread: whoever else reads, deliveries first of all, must not find every thread searching.
  const searcher = readers.at(-1)
  const quick = readers.length > 1 ? readers.slice(0, -1) : readers
  const readerFor = (kind: keyof Reads): StorageThread => {
    const among = slow.has(kind) && searcher !== undefined ? [searcher] : quick
    return among.reduce((least, reader) => (reader.busy < least.busy ? reader : least))
  }
  /** Who has looked into a mailbox will search it, and to begin a thread takes some hundred milliseconds. */
  let expectsSearch = false
  const expectSearch = (): void => {
    if (!expectsSearch) searcher?.start()
    expectsSearch = true
  }
  return {
    async read<Kind extends keyof Reads>(kind: Kind, input: Reads[Kind]['input']) {
      // The far end is thread.ts, with the types of the port; so is the near one.
      const answer = (await (near.read(kind, input) ?? readerFor(kind).call(kind, input))) as Reads[Kind]['output']
      // Not before: the first read begins threads, too.
      if (kind !== 'known') expectSearch()
      return answer
    },
    async write<Kind extends keyof Writes>(kind: Kind, input: Writes[Kind]['input']) {
      return (await writer.call(kind, input)) as Outcome<Writes[Kind]['output']>
    },
    async index() {
      const { forgotten, ...step } = (await indexer.call('index', null)) as Indexed // as above
      if (forgotten.length > 0) await writer.call('forgetTexts', { contents: forgotten })
      return step
    },
    async close() {
      await Promise.all([near, writer, indexer, ...readers].map((one) => one.close()))
    },
  }
}

/** Each thread that has to wait for the server says so; it is told once for all, and when the last of them goes on. */
function toldOnce(waiting: (error: Error) => void, recovered: () => void): () => Required<Notices> {
  let waits = 0
  return () => ({
    waiting(error) {
      if (++waits === 1) waiting(error)
    },
    recovered() {
      if (--waits === 0) recovered()
    },
  })
}

/** Of the connections to a server what each thread may have. A Database gives half of its own to transactions. */
function shareOut(connections: number, readThreads: number): Record<ThreadData['role'], number> {
  const writing = Math.max(1, Math.min(MAX_WRITERS, Math.floor(connections / 2)))
  const reading = Math.max(1, Math.floor((connections - writing - 2) / readThreads))
  return { write: 2 * writing, index: 2, read: reading }
}
