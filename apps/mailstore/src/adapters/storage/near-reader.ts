/**
 * Reads one message without a thread: the statements take some ten microseconds, to wake a thread and be woken by it takes
 * a hundred. Whatever may take longer is left to the threads.
 */
import { type BlobsAt, openBlobs } from '@postbus/blobs'
import { type DatabaseOptions, openDatabase } from '@postbus/sql'

import type { FetchPageOf, Reads } from '../../mailbox/storage.ts'
import { fetch } from './reads/fetch.ts'
import { headerPages } from './reads/header-pages.ts'
import type { Tables } from './schema.ts'
import { atOneMoment } from './sql-storage.ts'

const CACHE_BYTES = 8 * 1024 * 1024

export interface NearReader {
  /** Undefined: not done here. */
  read(kind: keyof Reads, input: unknown): Promise<Reads['fetch']['output']> | undefined
  close(): Promise<void>
}

export async function nearReader(database: string, blobs: BlobsAt, options: DatabaseOptions): Promise<NearReader> {
  const db = openDatabase<Tables>(database, { ...options, readOnly: true, cacheBytes: CACHE_BYTES, connections: 1 })
  const fetchFrom = fetch(db, await openBlobs(blobs.location, blobs.settings), headerPages(0))
  let reading = 0
  return {
    read(kind, input) {
      // Who waits for a blob keeps the connection; others need not wait for that.
      if (reading > 0 || !isOfOneMessage(kind, input)) return undefined
      reading++
      return atOneMoment(db, (reader) => fetchFrom(reader, input)).finally(() => reading--)
    },
    close: () => db.close(),
  }
}

/** One message, and nothing that takes long to work out of it. */
function isOfOneMessage(kind: keyof Reads, input: unknown): input is FetchPageOf {
  if (kind !== 'fetch') return false
  const { uids, want, changedSince } = input as FetchPageOf // the kind says so
  const [range, ...others] = uids
  const one = range !== undefined && others.length === 0 && range[0] === range[1]
  return one && changedSince === null && want.sections.length <= 1 && !want.preview
}
