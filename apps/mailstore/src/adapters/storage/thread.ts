/** One thread of the storage: it owns its connections, and takes commands in the order they come. */
import { constants, setPriority } from 'node:os'
import { parentPort, workerData } from 'node:worker_threads'

import { type BlobsAt, openBlobs } from '@postbus/blobs'
import { type DatabaseOptions, openDatabase, openSqlite } from '@postbus/sql'

import { StorageUnavailable } from '../../mailbox/storage.ts'
import type { StorageLimits } from './operation.ts'
import { readOperations } from './read-operations.ts'
import type { Tables } from './schema.ts'
import { readingFrom, writingTo } from './sql-storage.ts'
import { fts5Index } from './text-index/fts5/candidates.ts'
import { fts5Indexing } from './text-index/fts5/indexing.ts'
import type { IndexTables } from './text-index/fts5/schema.ts'
import { signatureIndex } from './text-index/signatures/candidates.ts'
import { signatureIndexing } from './text-index/signatures/indexing.ts'
import { writeOperations } from './write-operations.ts'

/** What the thread is started with. */
export interface ThreadData {
  role: 'read' | 'write' | 'index'
  /** A path, or `postgres://…`. */
  database: string
  options: DatabaseOptions
  /** SQLite: file of the text index. */
  index: string | null
  blobs: BlobsAt
  limits: StorageLimits
  keptHeaderBytes: number
}

/** What the thread says: what a call came to, or that it waits for its server (null: no more). */
export type Answer = { id: number; result?: unknown; failure?: Failure }
export type Notice = { waitsFor: string | null }

/** Errors lose their class on the way between threads; this is what is left of one. */
export interface Failure {
  unavailable: boolean
  message: string
  stack: string | undefined
}

if (parentPort === null) throw new Error('this is the inside of a worker thread')
const port = parentPort
const { role, database, options, index, blobs, limits, keptHeaderBytes }: ThreadData = workerData
// On PostgreSQL the index is in the database.
const readOnly = role === 'read' || (role === 'index' && index !== null)
const notices = {
  waiting: ({ message }: Error) => port.postMessage({ waitsFor: message } satisfies Notice),
  recovered: () => port.postMessage({ waitsFor: null } satisfies Notice),
}
const db = openDatabase<Tables>(database, { ...options, ...notices, readOnly })
const answer = await answerer()

async function answerer(): Promise<(kind: never, input: never) => Promise<unknown>> {
  if (role === 'write') return writingTo(db, writeOperations(db, limits))
  const bytes = await openBlobs(blobs.location, blobs.settings)
  const texts = index === null ? null : openSqlite<IndexTables>(index, { ...options, readOnly: role === 'read' })
  if (role === 'read') {
    const textIndex = texts === null ? signatureIndex : fts5Index(texts)
    return readingFrom(db, readOperations(db, bytes, textIndex, keptHeaderBytes))
  }
  // Nobody waits for it. On Linux a thread has a priority of its own.
  if (process.platform === 'linux') setPriority(constants.priority.PRIORITY_LOW)
  return texts === null ? signatureIndexing(db, bytes) : fts5Indexing(db, bytes, texts)
}

port.on('message', ({ id, kind, input }) => {
  // The other end of this channel is our own thread.ts, with the types of the port.
  void (answer as (kind: unknown, input: unknown) => Promise<unknown>)(kind, input).then(
    (result) => port.postMessage({ id, result } satisfies Answer, movedWith(result)),
    (error: unknown) => port.postMessage({ id, failure: failureOf(error) } satisfies Answer),
  )
})

/** The octets of a page are handed over, not copied: they lie in memory of their own. */
function movedWith(result: unknown): ArrayBuffer[] {
  if (typeof result !== 'object' || result === null || !('octets' in result)) return []
  const { octets } = result
  return octets instanceof Uint8Array && octets.buffer instanceof ArrayBuffer ? [octets.buffer] : []
}

function failureOf(error: unknown): Failure {
  const { message, stack } = error instanceof Error ? error : new Error(String(error))
  return { unavailable: error instanceof StorageUnavailable, message, stack }
}
