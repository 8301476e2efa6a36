/** One thread of the SQLite adapter: it owns its connection, and answers commands in the order they come. */
import { parentPort, workerData } from 'node:worker_threads'

import { localBlobs } from '@postbus/blobs'
import { openSqlite } from '@postbus/sql'

import { StorageUnavailable } from '../../mailbox/storage.ts'
import type { StorageLimits } from './operation.ts'
import { readOperations } from './read-operations.ts'
import type { Tables } from './schema.ts'
import { readingFrom, writingTo } from './sql-storage.ts'
import { writeOperations } from './write-operations.ts'

/** What the thread is started with. */
export interface ThreadData {
  role: 'read' | 'write'
  path: string
  /** Of libs/blobs. */
  blobs: string
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
const { role, path, blobs, cacheBytes, limits }: ThreadData = workerData
const db = openSqlite<Tables>(path, { readOnly: role === 'read', cacheBytes })
const answer =
  role === 'read' ? readingFrom(db, readOperations(db, localBlobs(blobs))) : writingTo(db, writeOperations(db, limits))

port.on('message', ({ id, kind, input }) => {
  // The other end of this channel is our own thread.ts, with the types of the port.
  void (answer as (kind: unknown, input: unknown) => Promise<unknown>)(kind, input).then(
    (result) => port.postMessage({ id, result }),
    (error: unknown) => port.postMessage({ id, failure: failureOf(error) }),
  )
})

function failureOf(error: unknown): Failure {
  const { message, stack } = error instanceof Error ? error : new Error(String(error))
  return { unavailable: error instanceof StorageUnavailable, message, stack }
}
