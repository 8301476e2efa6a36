/**
 * A platform on one machine, which stands still, into the databases and stores of a cluster, where none runs yet. Nothing is taken away
 * where it was, so that one can go back until the cluster has accepted mail.
 *
 * What is referred to comes before what refers to it: bytes, then books and mailboxes, the directory last. The bus is not moved: custody
 * finds everything that is open in its books, and publishes it there when it looks, with its attempts, due times and holds.
 */
import { BlobExists, type Blobs } from '@postbus/blobs'
import type { SpoolKeeper, SpoolReader, SpoolWriter } from '@postbus/spool'
import { type Database, type MovedTable, moveRows } from '@postbus/sql'

/** What each service has once somebody uses the new platform. Others were put there by migrations and a first start. */
export const tablesOfUse = {
  mailstore: ['accounts', 'mailboxes', 'messages'],
  delivery: ['attempt'],
  custody: ['message'],
  directory: ['domain', 'account'],
} as const
export type Owner = keyof typeof tablesOfUse

export interface From {
  databases: Record<Owner, Database<unknown>>
  keeper: SpoolKeeper
  reader: SpoolReader
  blobs: Blobs
}

export interface To {
  databases: Record<Owner, Database<unknown>>
  writer: SpoolWriter
  blobs: Blobs
}

export interface MovedPlatform {
  blobs: number
  records: number
  /** There already, from a call that was broken off. */
  known: number
  tables: Record<Owner, MovedTable[]>
}

/** May be called again after it was broken off, but not onto a database that has rows already. @throws CannotMove */
export async function movePlatform(from: From, to: To, progress: (text: string) => void): Promise<MovedPlatform> {
  const result: MovedPlatform = {
    ...{ blobs: 0, records: 0, known: 0 },
    tables: { mailstore: [], delivery: [], custody: [], directory: [] },
  }
  for await (const { key } of from.blobs.list('')) {
    try {
      await to.blobs.put(key, from.blobs.read(key))
      result.blobs++
    } catch (error) {
      if (!(error instanceof BlobExists)) throw error
      result.known++
    }
    progress(`${result.blobs + result.known} large messages`)
  }
  for await (const { accepted } of from.keeper.list()) {
    const record = await from.reader.open(accepted.queueId)
    try {
      await to.writer.putIfAbsent(accepted.queueId, record.read(), () => accepted)
    } finally {
      await record.close()
    }
    progress(`${++result.records} accepted messages`)
  }
  for (const owner of ['mailstore', 'delivery', 'custody', 'directory'] as const) {
    progress(`the tables of ${owner}`)
    result.tables[owner] = await moveRows(from.databases[owner], to.databases[owner], tablesOfUse[owner])
  }
  return result
}
