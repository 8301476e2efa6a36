/** The writer's connection while one transaction has it. */
import { Kysely } from 'kysely'

import type { Connection, Executed } from './connection.ts'
import type { Transaction } from './database.ts'
import { sqliteDialect } from './kysely-dialect.ts'
import type { Prepared } from './prepared.ts'

export class SqliteTransaction<DB> implements Transaction<DB> {
  readonly #connection: Connection
  #query: Kysely<DB> | undefined
  #failed: Error | undefined
  #ended = false
  #savepoints = 0

  constructor(connection: Connection) {
    this.#connection = connection
  }

  /** Made when asked for: work in prepared statements does not pay for it. */
  get query(): Kysely<DB> {
    this.#query ??= new Kysely<DB>({
      dialect: sqliteDialect({
        execute: (sql, parameters) => this.#execute(sql, parameters),
        iterate: (sql, parameters) => this.#guarded(() => this.#connection.iterate(sql, parameters)),
      }),
    })
    return this.#query
  }

  async all<Params, Row>(prepared: Prepared<Params, Row>, params: Params): Promise<Row[]> {
    return this.#execute(prepared.sql, prepared.bind(params)).rows as Row[] // as the query builder typed them
  }

  async first<Params, Row>(prepared: Prepared<Params, Row>, params: Params): Promise<Row | undefined> {
    return (await this.all(prepared, params))[0]
  }

  async run<Params>(prepared: Prepared<Params, unknown>, params: Params): Promise<number> {
    return this.#execute(prepared.sql, prepared.bind(params)).changes
  }

  async runEach<Params>(prepared: Prepared<Params, unknown>, items: readonly Params[]): Promise<number> {
    let changes = 0
    for (const item of items) changes += this.#execute(prepared.sql, prepared.bind(item)).changes
    return changes
  }

  async exec(sql: string): Promise<void> {
    this.#guarded(() => this.#connection.exec(sql))
  }

  async savepoint<R>(work: () => Promise<R>): Promise<R> {
    const name = `s${++this.#savepoints}`
    await this.exec(`SAVEPOINT ${name}`)
    try {
      const result = await work()
      await this.exec(`RELEASE ${name}`)
      return result
    } catch (error) {
      // A full disk takes the whole transaction with it; then there is nothing to go back to.
      if (this.#ended || !this.#connection.inTransaction) throw error
      this.#failed = undefined
      await this.exec(`ROLLBACK TO ${name}; RELEASE ${name}`)
      throw error
    }
  }

  /**
   * Whoever kept the transaction must not write into the next one.
   * @returns what failed in it, if anything did
   */
  end(): Error | undefined {
    this.#ended = true
    return this.#failed
  }

  #execute(sql: string, parameters: readonly unknown[]): Executed {
    return this.#guarded(() => this.#connection.execute(sql, parameters))
  }

  #guarded<R>(work: () => R): R {
    if (this.#ended) throw new Error('the transaction is over')
    if (this.#failed !== undefined) {
      throw new Error('a statement of the transaction failed before', { cause: this.#failed })
    }
    try {
      return work()
    } catch (error) {
      this.#failed = error instanceof Error ? error : new Error(String(error))
      throw error
    }
  }
}
