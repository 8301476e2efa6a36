/** One thread of the SQLite adapter: it owns its connection, and answers commands in the order they come. */
import { constants, setPriority } from 'node:os'
import { parentPort, workerData } from 'node:worker_threads'

import { type BlobsAt, openBlobs } from '@postbus/blobs'
import { openSqlite } from '@postbus/sql'

import { StorageUnavailable } from '../../mailbox/storage.ts'
import type { StorageLimits } from './operation.ts'
import { readOperations } from './read-operations.ts'
import type { Tables } from './schema.ts'
import { readingFrom, writingTo } from './sql-storage.ts'
import { indexing } from './text-index/indexing.ts'
import type { IndexTables } from './text-index/schema.ts'
import { writeOperations } from './write-operations.ts'

/** What the thread is started with. */
export interface ThreadData {
  role: 'read' | 'write' | 'index'
  path: string
  /** File of the text index. */
  index: string
  blobs: BlobsAt
  cacheBytes: number
  limits: StorageLimits
}

/** Errors lose their class on the way between threads; this is what is left of one. */
export interface Failure {
  unavailable: boolean
  message: string
  stack: string | undefined
}

if (parentPort === null) throw new Error('this is the inside of a worker thread')
const port = parentPort
const { role, path, index, blobs, cacheBytes, limits }: ThreadData = workerData
const db = openSqlite<Tables>(path, { readOnly: role !== 'write', cacheBytes })
const answer = answerer()

function answerer(): (kind: never, input: never) => Promise<unknown> {
  if (role === 'write') return writingTo(db, writeOperations(db, limits))
  const store = openBlobs(blobs.location, blobs.settings)
  const texts = openSqlite<IndexTables>(index, { readOnly: role === 'read', cacheBytes })
  if (role === 'read') return readingFrom(db, readOperations(db, store, texts))
  // Nobody waits for it. On Linux a thread has a priority of its own.
  if (process.platform === 'linux') setPriority(constants.priority.PRIORITY_LOW)
  return indexing(db, store, texts)
}

port.on('message', ({ id, kind, input }) => {
  // The other end of this channel is our own thread.ts, with the types of the port.
  void (answer as (kind: unknown, input: unknown) => Promise<unknown>)(kind, input).then(
    (result) => port.postMessage({ id, result }, movedWith(result)),
    (error: unknown) => port.postMessage({ id, failure: failureOf(error) }),
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
