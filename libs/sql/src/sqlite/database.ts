/**
 * A SQLite file as a Database: one connection that writes, one that reads. A reader sees what is committed and never
 * waits; writers take turns (BEGIN IMMEDIATE), so none ever finds at its commit that another one was faster.
 */
import { closeSync, fsyncSync, mkdirSync, openSync, realpathSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

import type { Kysely } from 'kysely'

import type { Database, Reader, Transaction } from '../database.ts'
import { StorageBusy } from '../errors.ts'
import { queriesOver } from '../kysely-dialect.ts'
import { Nesting } from '../nesting.ts'
import { prepare, type Prepared } from '../prepared.ts'
import type { Executor } from '../session.ts'
import { completeSnapshot, completeTransaction } from '../transaction.ts'
import { takeTurn } from '../turns.ts'
import { Connection } from './connection.ts'
import { LogFlush } from './log-flush.ts'

export interface SqliteOptions {
  /** Only read; `transaction` is refused. For worker threads beside the one that writes. */
  readOnly?: boolean
  /** How long a transaction waits for other processes before StorageBusy. Default 10 s. */
  busyTimeoutMs?: number
  /** Page cache of each of the two connections. Default 16 MiB. */
  cacheBytes?: number
  /** Default 0: see ConnectionOptions. */
  mmapBytes?: number
  /** Default 4000 pages, 16 MiB of log. */
  checkpointPages?: number
  /**
   * Commits are flushed beside the event loop, several by one flush; they are as durable when they resolve, and are read here no
   * sooner. Others that read the file may see one a moment before. Default false.
   */
  flushBeside?: boolean
}

/** Between two tries to become the writer of a file another process writes to. */
const MIN_RETRY_MS = 1
const MAX_RETRY_MS = 30

export function openSqlite<DB>(path: string, options: SqliteOptions = {}): Database<DB> {
  return new SqliteDatabase<DB>(path, options)
}

class SqliteDatabase<DB> implements Database<DB> {
  readonly dialect = 'sqlite'
  readonly schema = 'main'
  readonly name: string
  readonly query: Kysely<DB>
  readonly #reader: Connection
  readonly #writer: Connection | null
  readonly #log: LogFlush | null
  readonly #busyTimeoutMs: number
  readonly #nesting: Nesting
  #lastSnapshot: Promise<void> = Promise.resolve()
  #closed = false

  constructor(path: string, options: SqliteOptions) {
    const { readOnly = false, busyTimeoutMs = 10_000 } = options
    const { cacheBytes = 16 * 1024 * 1024, mmapBytes = 0, checkpointPages = 4000 } = options
    const flushBeside = (options.flushBeside ?? false) && !readOnly
    const common = { cacheBytes, mmapBytes, checkpointPages, flushInCommit: !flushBeside }
    if (!readOnly) createPrivately(path)
    this.#writer = readOnly ? null : new Connection(path, { ...common, readOnly: false })
    this.#reader = new Connection(path, { ...common, readOnly: true })
    this.#busyTimeoutMs = busyTimeoutMs
    this.name = realpathSync(path)
    this.#log = flushBeside ? new LogFlush(this.name) : null
    this.#nesting = new Nesting(this.name)
    this.query = queriesOver<DB>(this.#log === null ? this.#reader : this.#patientReader())
  }

  prepare: Database<DB>['prepare'] = (build) => prepare(this.query, build)

  async all<Params, Row>(prepared: Prepared<Params, Row>, params: Params): Promise<Row[]> {
    if (this.#log !== null) await this.#durable(this.#log)
    return this.#reader.execute(prepared.sql, prepared.bind(params)).rows as Row[] // as the query builder typed them
  }

  async first<Params, Row>(prepared: Prepared<Params, Row>, params: Params): Promise<Row | undefined> {
    return (await this.all(prepared, params))[0]
  }

  async transaction<R>(work: (transaction: Transaction<DB>) => Promise<R>): Promise<R> {
    const writer = this.#writer
    if (writer === null) throw new Error(`${this.name}: opened for reading only`)
    if (this.#closed) throw new Error(`${this.name}: closed`)
    this.#nesting.refuse()
    if (this.#log?.unsure) await this.#restore(this.#log)
    const result = await this.#commit(writer, work)
    await this.#log?.flush()
    return result
  }

  async #commit<R>(writer: Connection, work: (transaction: Transaction<DB>) => Promise<R>): Promise<R> {
    const done = await takeTurn(this.name)
    try {
      await this.#begin(writer)
      return await this.#nesting.run(() => completeTransaction(writer, work))
    } finally {
      done()
    }
  }

  async snapshot<R>(work: (reader: Reader<DB>) => Promise<R>): Promise<R> {
    const before = this.#lastSnapshot
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#lastSnapshot = promise
    await before
    try {
      if (this.#log !== null) await this.#durable(this.#log)
      this.#reader.exec('BEGIN')
      return await completeSnapshot(this.#reader, work)
    } finally {
      resolve()
    }
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    const done = await takeTurn(this.name)
    await this.#log?.close()
    this.#reader.close()
    this.#writer?.close()
    done()
  }

  /** Resolves when everything that can be read by now is on disk. @throws StorageFailed, StorageBusy */
  async #durable(log: LogFlush): Promise<void> {
    if (log.unsure) await this.#restore(log)
    if (log.pending !== null) await log.pending
  }

  async #restore(log: LogFlush): Promise<void> {
    const done = await takeTurn(this.name)
    try {
      this.#writer?.checkpoint()
      log.restored()
    } finally {
      done()
    }
  }

  #patientReader(): Executor {
    const reader = this.#reader
    const durable = async (): Promise<void> => {
      if (this.#log !== null) await this.#durable(this.#log)
    }
    return {
      dialect: reader.dialect,
      async execute(sql, parameters) {
        await durable()
        return reader.execute(sql, parameters)
      },
      async *iterate(sql, parameters) {
        await durable()
        yield* reader.iterate(sql, parameters)
      },
    }
  }

  /** IMMEDIATE: the only statement that may find the file busy is the first one, and trying that again is harmless. */
  async #begin(writer: Connection): Promise<void> {
    const deadline = performance.now() + this.#busyTimeoutMs
    for (let pauseMs = MIN_RETRY_MS; ; pauseMs = Math.min(pauseMs * 2, MAX_RETRY_MS)) {
      try {
        return writer.exec('BEGIN IMMEDIATE')
      } catch (error) {
        if (!(error instanceof StorageBusy) || performance.now() > deadline) throw error
      }
      await sleep(pauseMs * (0.5 + Math.random()))
    }
  }
}

/** What services keep is nobody else's business, password hashes least; SQLite gives its log the mode of the file. */
function createPrivately(path: string): void {
  const directory = resolve(dirname(path))
  const first = mkdirSync(directory, { recursive: true, mode: 0o700 }) ?? directory
  // SQLite flushes the names in the directory. Its own name, and those above that are new, are ours to flush.
  for (let made = directory; ; made = dirname(made)) {
    syncDirectory(dirname(made))
    if (made === first) break
  }
  closeSync(openSync(path, 'a', 0o600))
}

function syncDirectory(path: string): void {
  const directory = openSync(path, 'r')
  try {
    fsyncSync(directory)
  } finally {
    closeSync(directory)
  }
}
