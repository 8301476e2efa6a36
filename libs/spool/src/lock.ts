/**
 * Locks that the kernel lets go of when their holder dies, however it dies: also after a crash of the machine, also
 * between containers with process ids of their own. Node has no flock(2); SQLite takes such locks on every platform, so an empty
 * database in a transaction that never writes is our lock file.
 *
 * Nobody may open a lock file by other means: closing any descriptor of it would give the process's locks away (fcntl(2)).
 */
import { existsSync, rmSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { pathToFileURL } from 'node:url'

export interface Lock {
  /** @returns whether we have it now. Never waits. */
  take(): boolean
  give(): void
  /** Gives the lock and closes its file. */
  close(): void
}

/** Creates the file when it is missing. */
export function openLock(path: string): Lock {
  return lockOn(new DatabaseSync(path, { timeout: 0 }))
}

/** A lock nobody else can have: for a name of our own. */
export function holdNewLock(path: string): Lock {
  const lock = openLock(path)
  // Somebody who sweeps may have taken the file for an old one, and away.
  if (lock.take() && existsSync(path)) return lock
  lock.close()
  throw new Error(`${path} was taken by somebody else`)
}

/** Whether somebody holds the lock. A missing file is held by nobody. */
export function isHeld(path: string): boolean {
  const lock = openExisting(path)
  if (lock === null) return false
  const held = !lock.take()
  lock.close()
  return held
}

/** Takes the file away for good, unless somebody holds it. */
export function removeLock(path: string): void {
  const lock = openExisting(path)
  if (lock === null) return
  if (lock.take()) rmSync(path, { force: true })
  lock.close()
}

function openExisting(path: string): Lock | null {
  const existing = pathToFileURL(path)
  existing.searchParams.set('mode', 'rw')
  try {
    return lockOn(new DatabaseSync(existing, { timeout: 0 }))
  } catch (cause) {
    if (codeOf(cause) === SQLITE_CANTOPEN) return null
    throw cause
  }
}

function lockOn(database: DatabaseSync): Lock {
  return {
    take() {
      try {
        database.exec('BEGIN IMMEDIATE')
        return true
      } catch (cause) {
        if (codeOf(cause) === SQLITE_BUSY) return false
        throw cause
      }
    },
    give: () => database.exec('ROLLBACK'),
    close: () => database.close(),
  }
}

const SQLITE_BUSY = 5
const SQLITE_CANTOPEN = 14

function codeOf(cause: unknown): unknown {
  return cause instanceof Error && 'errcode' in cause ? cause.errcode : undefined
}
