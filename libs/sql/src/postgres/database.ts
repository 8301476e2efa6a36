/**
 * A PostgreSQL schema as a Database. Readers and transactions have connections of their own, so that a transaction which reads beside
 * itself cannot wait for a connection that only itself could give back. What a lost connection interrupts is done again where that is
 * harmless: a read, and a transaction that has not begun to work. All else fails as StorageBusy, or as StorageFailed once a commit was
 * under way.
 */
import type { Kysely } from 'kysely'

import type { Database, Reader, Transaction, TransactionOptions } from '../database.ts'
import { StorageBusy } from '../errors.ts'
import { queriesOver } from '../kysely-dialect.ts'
import { Nesting } from '../nesting.ts'
import { prepare, type Prepared } from '../prepared.ts'
import type { Executed, Executor } from '../session.ts'
import { completeSnapshot, completeTransaction } from '../transaction.ts'
import { takeTurns } from '../turns.ts'
import { Connections, placeOf } from './connections.ts'
import { PostgresSession } from './session.ts'

export interface PostgresOptions {
  /** The service's own; made by the first migration. */
  schema: string
  /** Only read; `transaction` is refused. */
  readOnly?: boolean
  /** How long a transaction waits for others and for the server, before StorageBusy. Default 10 s. */
  busyTimeoutMs?: number
  /** At most, reading and writing together; at least 2. Default 10. */
  connections?: number
  /** Time for one try to connect. Default 5 s. */
  connectTimeoutMs?: number
  /** Time for one statement, then StorageBusy; 0: none. Default 30 s. */
  statementTimeoutMs?: number
  /** Told when somebody has to wait for the server, and when nobody does any more. */
  waiting?(error: Error): void
  recovered?(): void
}

/** Goes into SQL and settings as it stands. */
const SCHEMA = /^[a-z][a-z_]{0,62}$/

let opened = 0

/** Nothing is connected before it is needed. */
export function openPostgres<DB>(url: string, options: PostgresOptions): Database<DB> {
  return new PostgresDatabase<DB>(url, options)
}

class PostgresDatabase<DB> implements Database<DB>, Executor {
  readonly dialect = 'postgres'
  readonly name: string
  readonly schema: string
  readonly query: Kysely<DB>
  readonly #readers: Connections
  readonly #writers: Connections | null
  readonly #statementTimeoutMs: number
  readonly #busyTimeoutMs: number
  readonly #nesting: Nesting
  readonly #turn: string
  readonly #statementNames = new Map<string, string>()
  #closed: Promise<void> | undefined

  constructor(url: string, options: PostgresOptions) {
    const { schema, readOnly = false, connections = 10, connectTimeoutMs = 5000 } = options
    const { busyTimeoutMs = 10_000, statementTimeoutMs = 30_000, waiting = () => {}, recovered = () => {} } = options
    if (!SCHEMA.test(schema)) throw new Error(`not the name of a schema: ${schema}`)
    this.schema = schema
    this.name = `${placeOf(url)} ${schema}`
    this.#busyTimeoutMs = busyTimeoutMs
    this.#statementTimeoutMs = statementTimeoutMs
    const common = { name: this.name, schema, busyTimeoutMs, connectTimeoutMs, statementTimeoutMs, waiting, recovered }
    const writing = readOnly ? 0 : Math.ceil(connections / 2)
    this.#readers = new Connections(url, { ...common, max: connections - writing })
    this.#writers = readOnly ? null : new Connections(url, { ...common, max: writing })
    this.#nesting = new Nesting(this.name)
    this.#turn = `${this.name} ${++opened} `
    this.query = queriesOver<DB>(this)
  }

  prepare: Database<DB>['prepare'] = (build) => prepare(this.query, build)

  async all<Params, Row>(prepared: Prepared<Params, Row>, params: Params): Promise<Row[]> {
    return (await this.execute(prepared.sql, prepared.bind(params), true)).rows as Row[] // as the query builder typed them
  }

  async first<Params, Row>(prepared: Prepared<Params, Row>, params: Params): Promise<Row | undefined> {
    return (await this.all(prepared, params))[0]
  }

  async execute(sql: string, parameters: readonly unknown[], isPrepared: boolean): Promise<Executed> {
    for (let isRetry = false; ; isRetry = true) {
      const session = await this.#session(this.#readers)
      try {
        return await session.execute(sql, parameters, isPrepared)
      } catch (error) {
        if (isRetry || !session.isLost) throw error
      } finally {
        session.release()
      }
    }
  }

  async *iterate(sql: string, parameters: readonly unknown[]): AsyncGenerator<Record<string, unknown>> {
    const session = await this.#session(this.#readers)
    try {
      await session.beginReading()
      yield* session.iterate(sql, parameters)
    } finally {
      await session.rollback()
      session.release()
    }
  }

  async transaction<R>(
    work: (transaction: Transaction<DB>) => Promise<R>,
    options: TransactionOptions = {},
  ): Promise<R> {
    const writers = this.#writers
    if (writers === null) throw new Error(`${this.name}: opened for reading only`)
    if (this.#closed !== undefined) throw new Error(`${this.name}: closed`)
    this.#nesting.refuse()
    // Here first: whoever waits for others of this process holds no connection.
    const done = await takeTurns(options.locks?.map((lock) => this.#turn + lock) ?? [this.#turn])
    try {
      const session = await this.#begin(writers, options)
      try {
        return await this.#nesting.run(() => completeTransaction(session, work))
      } finally {
        session.release()
      }
    } finally {
      done()
    }
  }

  async snapshot<R>(work: (reader: Reader<DB>) => Promise<R>): Promise<R> {
    for (let isRetry = false; ; isRetry = true) {
      const session = await this.#session(this.#readers)
      try {
        await session.beginReading()
        return await completeSnapshot(session, work)
      } catch (error) {
        if (isRetry || !session.isLost) throw error
      } finally {
        session.release()
      }
    }
  }

  close(): Promise<void> {
    this.#closed ??= this.#end()
    return this.#closed
  }

  async #end(): Promise<void> {
    const done = await takeTurns([this.#turn])
    await Promise.all([this.#readers.close(), this.#writers?.close()])
    done()
  }

  /** Nothing has been done yet, so a connection that turns out to be dead is exchanged. */
  async #begin(writers: Connections, options: TransactionOptions): Promise<PostgresSession> {
    const deadline = performance.now() + this.#busyTimeoutMs
    for (;;) {
      const session = await this.#session(writers)
      try {
        await session.begin(options)
        return session
      } catch (error) {
        const isToBeTried = session.isLost && error instanceof StorageBusy && performance.now() < deadline
        session.release()
        if (!isToBeTried) throw error
      }
    }
  }

  async #session(connections: Connections): Promise<PostgresSession> {
    const client = await connections.take()
    const { name, schema } = this
    const [statementTimeoutMs, names] = [this.#statementTimeoutMs, this.#statementNames]
    return new PostgresSession(client, { name, schema, statementTimeoutMs, names })
  }
}
