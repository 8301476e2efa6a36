/** A database file as others see it: copied as of one moment while it is in use, and examined. Nothing of it is changed. */
import { closeSync, openSync, statSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { DatabaseSync } from 'node:sqlite'

import { sqliteError } from './errors.ts'

const MAX_PROBLEMS = 20
const WAIT_MS = 10_000

/**
 * Everything committed before it began, and nothing else, in a file of its own; durable but for its name when it resolves. Readers and
 * writers go on meanwhile; the log cannot be cut back until it is done. Blocks this thread.
 * @param to must not exist; readable by its owner only. @throws StorageFull, StorageCorrupt, StorageFailed
 */
export async function copyDatabase(from: string, to: string): Promise<void> {
  closeSync(openSync(to, 'wx', 0o600))
  withDatabase(from, (db) => db.prepare('VACUUM INTO ?').run(to))
  const file = await open(to, 'r+')
  try {
    await file.sync()
  } finally {
    await file.close()
  }
}

export interface DatabaseReport {
  /** What `quick_check` found; none: sound. */
  problems: string[]
  bytes: number
  /** The write-ahead log beside it. */
  logBytes: number
}

/** Reads the whole file. Blocks this thread. */
export function examineDatabase(path: string): DatabaseReport {
  const [bytes, logBytes] = [statSync(path).size, statSync(`${path}-wal`, { throwIfNoEntry: false })?.size ?? 0]
  try {
    const rows = withDatabase(path, (db) => db.prepare(`PRAGMA quick_check(${MAX_PROBLEMS})`).all())
    const found = rows.map(({ quick_check: text }) => String(text))
    return { problems: found.filter((text) => text !== 'ok'), bytes, logBytes }
  } catch (error) {
    return { problems: [error instanceof Error ? error.message : String(error)], bytes, logBytes }
  }
}

function withDatabase<R>(path: string, work: (db: DatabaseSync) => R): R {
  let db: DatabaseSync | undefined
  try {
    db = new DatabaseSync(path, { readOnly: true, timeout: WAIT_MS })
    return work(db)
  } catch (error) {
    throw sqliteError(error, path)
  } finally {
    db?.close()
  }
}
