/**
 * A SQLite file (WAL, synchronous=FULL) behind the storage port: one thread writes, several read, and one fills
 * the text index. A search never stalls a
 * delivery, and neither of them stalls the event loop. One message is read right here: waking a thread takes longer.
 * Several processes may use one file.
 */
import { migrate, openSqlite } from '@postbus/sql'

import type { MailStorage, Outcome, Reads, Writes } from '../../mailbox/storage.ts'
import { migrations } from './migrations.ts'
import { nearReader } from './near-reader.ts'
import { defaultLimits, type StorageLimits } from './operation.ts'
import type { Indexed } from './text-index/indexing.ts'
import { createTextIndex, textIndexPath } from './text-index/schema.ts'
import { StorageThread } from './threads.ts'

export interface SqliteStorageOptions {
  path: string
  /** Directory of libs/blobs, for reading sections and searching large messages. */
  blobs: string
  readThreads?: number
  cacheBytes?: number
  limits?: Partial<StorageLimits>
}

/** What may take longer than others like to wait. */
const slow: ReadonlySet<keyof Reads> = new Set([
  ...(['search', 'sort', 'thread'] as const),
  ...(['messagesToCheck', 'countersToCheck', 'accountToCheck'] as const),
])

export async function openSqliteStorage(options: SqliteStorageOptions): Promise<MailStorage> {
  const { path, blobs, readThreads = 2, cacheBytes = 32 * 1024 * 1024 } = options
  const setup = openSqlite(path)
  await migrate(setup, migrations)
  await setup.close()

  const index = textIndexPath(path)
  await createTextIndex(index)
  const data = { path, index, blobs, cacheBytes, limits: { ...defaultLimits, ...options.limits } }
  const writer = new StorageThread({ ...data, role: 'write' })
  const indexer = new StorageThread({ ...data, role: 'index' })
  const near = nearReader(path, blobs)
  const readers = Array.from({ length: readThreads }, () => new StorageThread({ ...data, role: 'read' }))

  // Searches and checks keep to the last thread: whoever else reads, deliveries first of all, must not find every thread searching.
  const searcher = readers.at(-1)
  const quick = readers.length > 1 ? readers.slice(0, -1) : readers
  const readerFor = (kind: keyof Reads): StorageThread => {
    const among = slow.has(kind) && searcher !== undefined ? [searcher] : quick
    return among.reduce((least, reader) => (reader.busy < least.busy ? reader : least))
  }
  return {
    async read<Kind extends keyof Reads>(kind: Kind, input: Reads[Kind]['input']) {
      // The far end is thread.ts, with the types of the port; so is the near one.
      return (await (near.read(kind, input) ?? readerFor(kind).call(kind, input))) as Reads[Kind]['output']
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
