/**
 * One connection of the pool, for one read or one transaction. Statements are sent as they come, without waiting for the answers of those
 * before (pg's pipeline): many writes in one transaction cost one way to the server and back.
 */
import type { PoolClient, QueryConfig } from 'pg'

import { StorageFailed } from '../errors.ts'
import type { Executed, Session } from '../session.ts'
import { endsConnection, leavesCommitOpen, postgresError } from './errors.ts'
import { lockStatements } from './locks.ts'
import { bindable } from './values.ts'

/** Runs that are on their way at once: what they answer waits in the sockets' buffers. */
const PIPELINED = 500
/** Rows a cursor brings at once. */
const FETCHED = 200
/** The server's time limit comes first; this one is for a server that does not answer at all. */
const SILENCE_MS = 3000

export interface SessionOptions {
  /** Of the database, for messages. */
  name: string
  schema: string
  /** Time for one statement (ms); 0: none. */
  statementTimeoutMs: number
  /** Names for statements that are kept prepared, the same on every connection. */
  names: Map<string, string>
}

export class PostgresSession implements Session {
  readonly dialect = 'postgres'
  readonly #client: PoolClient
  readonly #options: SessionOptions
  #statementTimeoutMs: number
  #isLost = false
  #isOpen = false
  #cursors = 0

  constructor(client: PoolClient, options: SessionOptions) {
    this.#client = client
    this.#options = options
    this.#statementTimeoutMs = options.statementTimeoutMs
  }

  /** The connection is gone, or of no more use. */
  get isLost(): boolean {
    return this.#isLost
  }

  get inTransaction(): boolean {
    return this.#isOpen && !this.#isLost
  }

  /** @throws with nothing done; also when a lock could not be had in time */
  async begin({
    locks,
    statementTimeoutMs,
  }: {
    locks?: readonly string[]
    statementTimeoutMs?: number
  }): Promise<void> {
    this.#isOpen = true
    const statements = ['begin isolation level read committed read write']
    if (statementTimeoutMs !== undefined) {
      this.#statementTimeoutMs = statementTimeoutMs
      statements.push(`set local statement_timeout = ${statementTimeoutMs}`)
    }
    await this.exec([...statements, lockStatements(this.#options.schema, locks)].join('; '))
  }

  /** What is read from now on is of one moment. */
  async beginReading(): Promise<void> {
    this.#isOpen = true
    await this.exec('begin isolation level repeatable read read only')
  }

  async execute(sql: string, parameters: readonly unknown[], isPrepared: boolean): Promise<Executed> {
    const { rows, rowCount } = await this.#send({
      text: sql,
      values: bindable(parameters),
      ...(isPrepared && { name: this.#nameOf(sql) }),
    })
    return { rows, changes: rowCount ?? 0 }
  }

  async executeEach(sql: string, lists: readonly (readonly unknown[])[]): Promise<number> {
    let changes = 0
    for (let from = 0; from < lists.length; from += PIPELINED) {
      const runs = lists.slice(from, from + PIPELINED).map((parameters) => this.execute(sql, parameters, true))
      // All of them: a run that goes on after another one's failure must not outlive the transaction.
      const settled = await Promise.allSettled(runs)
      for (const run of settled) {
        if (run.status === 'rejected') throw run.reason
        changes += run.value.changes
      }
    }
    return changes
  }

  async exec(sql: string): Promise<void> {
    await this.#send({ text: sql })
  }

  /** A cursor of the server: statements between its rows find the connection free. In a transaction only. */
  async *iterate(sql: string, parameters: readonly unknown[]): AsyncGenerator<Record<string, unknown>> {
    const cursor = `c${++this.#cursors}`
    await this.#send({ text: `declare ${cursor} no scroll cursor for ${sql}`, values: bindable(parameters) })
    let isAtEnd = false
    try {
      while (!isAtEnd) {
        const { rows } = await this.#send({ text: `fetch ${FETCHED} from ${cursor}` })
        isAtEnd = rows.length < FETCHED
        yield* rows
      }
    } finally {
      // After a failure there is neither a cursor nor a way to say so.
      if (this.inTransaction) await this.#send({ text: `close ${cursor}` }).catch(() => {})
    }
  }

  /** @throws StorageFailed when nobody can say whether it happened; anything else: it did not */
  async commit(): Promise<void> {
    try {
      const { command } = await this.#client.query({ text: 'commit', ...this.#limit })
      this.#isOpen = false
      // PostgreSQL answers so, without an error, when a statement had failed.
      if (command !== 'COMMIT') throw new Error(`${this.#options.name}: a statement failed before the commit`)
    } catch (error) {
      this.#isLost ||= endsConnection(error)
      if (!this.#isOpen) throw error
      const { name } = this.#options
      if (!leavesCommitOpen(error)) throw postgresError(error, name)
      this.#isLost = true
      const why = error instanceof Error ? error.message : String(error)
      throw new StorageFailed(`${name}: whether the transaction was committed is not known: ${why}`, { cause: error })
    }
  }

  async rollback(): Promise<void> {
    if (!this.inTransaction) return
    try {
      await this.exec('rollback')
      this.#isOpen = false
    } catch {
      // Without its connection it is rolled back by the server.
      this.#isLost = true
    }
  }

  /** Gives the connection back. One whose state is not certain is closed. */
  release(): void {
    this.#client.release(this.#isLost || this.#isOpen)
  }

  get #limit(): { query_timeout?: number } {
    return this.#statementTimeoutMs === 0 ? {} : { query_timeout: this.#statementTimeoutMs + SILENCE_MS }
  }

  async #send(config: QueryConfig) {
    try {
      return await this.#client.query<Record<string, unknown>>({ ...config, ...this.#limit })
    } catch (error) {
      this.#isLost ||= endsConnection(error)
      throw postgresError(error, this.#options.name)
    }
  }

  #nameOf(sql: string): string {
    const { names } = this.#options
    const known = names.get(sql)
    if (known !== undefined) return known
    const name = `s${names.size + 1}`
    names.set(sql, name)
    return name
  }
}
