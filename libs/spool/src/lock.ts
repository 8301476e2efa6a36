/**
 * Locks that the kernel lets go of when their holder dies, however it dies: also after a crash of the machine, also
 * between containers with process ids of their own. Node has no flock(2); SQLite takes such locks on every platform, so an empty
 * database in a transaction that never writes is our lock file.
 *
 * Nobody may open a lock file by other means: closing any descriptor of it would give the process's locks away (fcntl(2)).
 */
import { unlink } from 'node:fs/promises'
import { DatabaseSync } from 'node:sqlite'
import { pathToFileURL } from 'node:url'

import { failedWith } from '@postbus/blobs/files'

export interface Lock {
  /** @returns whether we have it now. Never waits. */
  take(): boolean
  give(): void
  /** Gives the lock and closes its file. */
  close(): void
}

/** Creates the file when it is missing. */
export function openLock(path: string): Lock {
  const database = new DatabaseSync(path, { timeout: 0 })
  return {
    take() {
      try {
        database.exec('BEGIN IMMEDIATE')
        return true
      } catch (cause) {
        if (isBusy(cause)) return false
        throw cause
      }
    },
    give: () => database.exec('ROLLBACK'),
    close: () => database.close(),
  }
}

/** Whether somebody holds the lock. A missing file is held by nobody. */
export function isHeld(path: string): boolean {
  let database: DatabaseSync
  try {
    const existing = pathToFileURL(path)
    existing.searchParams.set('mode', 'rw')
    database = new DatabaseSync(existing, { timeout: 0 })
  } catch (cause) {
    if (isMissing(cause)) return false
    throw cause
  }
  try {
    database.exec('BEGIN IMMEDIATE')
    return false
  } catch (cause) {
    if (isBusy(cause)) return true
    throw cause
  } finally {
    database.close()
  }
}

/** Takes the file away for good, unless somebody holds it. */
export async function removeLock(path: string): Promise<boolean> {
  if (isHeld(path)) return false
  await unlink(path).catch((cause: unknown) => {
    if (!failedWith(cause, 'ENOENT')) throw cause
  })
  return true
}

const SQLITE_BUSY = 5
const SQLITE_CANTOPEN = 14

const isBusy = (cause: unknown): boolean => codeOf(cause) === SQLITE_BUSY
const isMissing = (cause: unknown): boolean => codeOf(cause) === SQLITE_CANTOPEN

function codeOf(cause: unknown): unknown {
  return cause instanceof Error && 'errcode' in cause ? cause.errcode : undefined
}
