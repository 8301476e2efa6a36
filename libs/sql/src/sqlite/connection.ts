/**
 * One SQLite connection: settings, prepared statements, rows as plain objects, typed errors.
 *
 * Numbers are bound as REAL (node:sqlite does): compare and store them freely, but write `cast(? as integer)` before
 * dividing by one in SQL. An integer outside ±(2^53 − 1) is refused when read, never rounded.
 */
import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite'

import { StorageBusy } from '../errors.ts'
import type { Executed, Session } from '../session.ts'
import { sqliteError } from './errors.ts'

export interface ConnectionOptions {
  readOnly: boolean
  /** Page cache of this connection. */
  cacheBytes: number
  /** How much of the file is mapped. An I/O error in a mapping kills the process, and mapped pages count as its memory. */
  mmapBytes: number
  /** The log is copied into the file when it has grown to this many pages. */
  checkpointPages: number
  /** Whether a commit flushes the log itself; else whoever commits must see to it. */
  flushInCommit: boolean
}

interface Prepared {
  statement: StatementSync
  /** Null for statements that give no rows. */
  columns: string[] | null
}

/** Statements kept prepared per connection; the oldest one goes. */
const MAX_STATEMENTS = 500
/** Waiting here blocks the whole process, so it is short; waiting for a writer of another process is done outside. */
const BLOCKING_WAIT_MS = 10
/** At the start another process may be turning the same new file into a write-ahead one. */
const OPENING_WAIT_MS = 10_000
const OPENING_RETRY_MS = 20
/** After a burst the log file is cut back to this. */
const JOURNAL_BYTES = 64 * 1024 * 1024

const NO_ROWS: Record<string, unknown>[] = []

export class Connection implements Session {
  readonly dialect = 'sqlite'
  readonly path: string
  readonly #db: DatabaseSync
  readonly #statements = new Map<string, Prepared>()

  constructor(path: string, { readOnly, cacheBytes, mmapBytes, ...log }: ConnectionOptions) {
    this.path = path
    this.#db = this.#typed(
      () => new DatabaseSync(path, { readOnly, timeout: BLOCKING_WAIT_MS, enableForeignKeyConstraints: true }),
    )
    // Durable first, then the promise: FULL flushes the log at every commit, not only at checkpoints.
    if (!readOnly) {
      this.#whileOthersOpen(() => this.exec('PRAGMA journal_mode = WAL'))
      this.exec(`PRAGMA synchronous = ${log.flushInCommit ? 'FULL' : 'NORMAL'}`)
      this.exec(`PRAGMA wal_autocheckpoint = ${log.checkpointPages}`)
      this.exec(`PRAGMA journal_size_limit = ${JOURNAL_BYTES}`)
    }
    this.exec(`PRAGMA cache_size = -${Math.ceil(cacheBytes / 1024)}`)
    this.exec(`PRAGMA mmap_size = ${mmapBytes}`)
    this.exec('PRAGMA temp_store = MEMORY')
    this.exec('PRAGMA trusted_schema = OFF')
  }

  get inTransaction(): boolean {
    return this.#db.isTransaction
  }

  /** Statements without parameters and rows; several are separated by `;`. */
  exec(sql: string): void {
    this.#typed(() => this.#db.exec(sql))
  }

  execute(sql: string, parameters: readonly unknown[]): Executed {
    return this.#typed(() => {
      const { statement, columns } = this.#prepare(sql)
      if (columns === null) {
        const { changes, lastInsertRowid } = statement.run(...bindable(parameters))
        return { rows: NO_ROWS, changes: Number(changes), insertId: Number(lastInsertRowid) }
      }
      const rows = statement.all(...bindable(parameters)).map((row) => objectOf(columns, row))
      return { rows, changes: rows.length, insertId: 0 }
    })
  }

  executeEach(sql: string, lists: readonly (readonly unknown[])[]): number {
    let changes = 0
    for (const parameters of lists) changes += this.execute(sql, parameters).changes
    return changes
  }

  /** Rows one at a time. Holds its snapshot, and the log, until it ends. */
  *iterate(sql: string, parameters: readonly unknown[]): Generator<Record<string, unknown>> {
    // Not from the cache: another run of the same statement would start this one over.
    const { statement, columns } = this.#typed(() => prepareOn(this.#db, sql))
    const rows = this.#typed(() => statement.iterate(...bindable(parameters)))
    for (;;) {
      const next = this.#typed(() => rows.next())
      if (next.done === true) return
      yield objectOf(columns ?? [], next.value)
    }
  }

  commit(): void {
    this.exec('COMMIT')
  }

  /** Copies all of the log into the file and flushes that. @throws StorageBusy while somebody reads or writes */
  checkpoint(): void {
    const [row] = this.execute('PRAGMA wal_checkpoint(TRUNCATE)', []).rows
    if (row?.['busy'] !== 0) throw new StorageBusy(`${this.path}: the log is in use`)
  }

  rollback(): void {
    // A full disk or an I/O error has rolled back already.
    if (this.inTransaction) this.exec('ROLLBACK')
  }

  close(): void {
    if (!this.#db.isOpen) return
    this.#statements.clear()
    this.#db.close()
  }

  #prepare(sql: string): Prepared {
    const known = this.#statements.get(sql)
    if (known !== undefined) return known
    const prepared = prepareOn(this.#db, sql)
    this.#statements.set(sql, prepared)
    if (this.#statements.size > MAX_STATEMENTS) {
      for (const oldest of this.#statements.keys()) {
        this.#statements.delete(oldest)
        break
      }
    }
    return prepared
  }

  /** Blocks, which only a start may do. */
  #whileOthersOpen(work: () => void): void {
    const clock = new Int32Array(new SharedArrayBuffer(4))
    for (const deadline = performance.now() + OPENING_WAIT_MS; ;) {
      try {
        return work()
      } catch (error) {
        if (!(error instanceof StorageBusy) || performance.now() > deadline) throw error
      }
      Atomics.wait(clock, 0, 0, OPENING_RETRY_MS)
    }
  }

  #typed<R>(work: () => R): R {
    try {
      return work()
    } catch (error) {
      throw sqliteError(error, this.path)
    }
  }
}

function prepareOn(db: DatabaseSync, sql: string): Prepared {
  // Rows as arrays: building the objects here is twice as fast, and they are ordinary ones.
  const statement = db.prepare(sql, { returnArrays: true })
  const columns = statement.columns().map(({ name }) => name)
  // The last row id may be one of FTS5's own, which are beyond what a number holds.
  if (columns.length === 0) statement.setReadBigInts(true)
  return { statement, columns: columns.length === 0 ? null : columns }
}

function objectOf(columns: readonly string[], row: unknown): Record<string, unknown> {
  const values = row as unknown[] // returnArrays is set; the type of the API does not follow it
  const object: Record<string, unknown> = {}
  for (let index = 0; index < columns.length; index++) object[columns[index] as string] = values[index]
  return object
}

/** node:sqlite refuses what it cannot bind, by name of the parameter; this is where its type is met. */
function bindable(parameters: readonly unknown[]): SQLInputValue[] {
  return parameters as SQLInputValue[]
}
