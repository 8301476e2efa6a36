/** A connection while one transaction has it. */
import type { Kysely } from 'kysely'

import type { Reader, Transaction } from './database.ts'
import { queriesOver } from './kysely-dialect.ts'
import type { Prepared } from './prepared.ts'
import type { Dialect, Executed, Session } from './session.ts'

/** Work in a session that has begun: committed when it resolves, rolled back when it throws. */
export async function completeTransaction<DB, R>(
  session: Session,
  work: (transaction: Transaction<DB>) => Promise<R>,
): Promise<R> {
  const transaction = new SessionTransaction<DB>(session)
  try {
    const result = await work(transaction)
    const failure = transaction.end()
    if (failure !== undefined) throw failure
    await session.commit()
    return result
  } catch (error) {
    transaction.end()
    await session.rollback()
    throw error
  }
}

/** Reading in a session that has begun, whose end cannot fail. */
export async function completeSnapshot<DB, R>(session: Session, work: (reader: Reader<DB>) => Promise<R>): Promise<R> {
  const reader = new SessionTransaction<DB>(session)
  try {
    return await work(reader)
  } finally {
    reader.end()
    await session.rollback()
  }
}

class SessionTransaction<DB> implements Transaction<DB> {
  readonly #session: Session
  #query: Kysely<DB> | undefined
  #failed: Error | undefined
  #ended = false
  #savepoints = 0

  constructor(session: Session) {
    this.#session = session
  }

  get dialect(): Dialect {
    return this.#session.dialect
  }

  /** Made when asked for: work in prepared statements does not pay for it. */
  get query(): Kysely<DB> {
    this.#query ??= queriesOver<DB>({
      dialect: this.#session.dialect,
      execute: (sql, parameters, isPrepared) => this.#execute(sql, parameters, isPrepared),
      iterate: (sql, parameters) => this.#iterate(sql, parameters),
    })
    return this.#query
  }

  async all<Params, Row>(prepared: Prepared<Params, Row>, params: Params): Promise<Row[]> {
    return (await this.#execute(prepared.sql, prepared.bind(params), true)).rows as Row[] // as the query builder typed them
  }

  async first<Params, Row>(prepared: Prepared<Params, Row>, params: Params): Promise<Row | undefined> {
    return (await this.all(prepared, params))[0]
  }

  async run<Params>(prepared: Prepared<Params, unknown>, params: Params): Promise<number> {
    return (await this.#execute(prepared.sql, prepared.bind(params), true)).changes
  }

  async runEach<Params>(prepared: Prepared<Params, unknown>, items: readonly Params[]): Promise<number> {
    const lists = items.map((item) => prepared.bind(item))
    return this.#guarded(() => this.#session.executeEach(prepared.sql, lists))
  }

  async exec(sql: string): Promise<void> {
    await this.#guarded(() => this.#session.exec(sql))
  }

  async savepoint<R>(work: () => Promise<R>): Promise<R> {
    const name = `s${++this.#savepoints}`
    await this.exec(`SAVEPOINT ${name}`)
    try {
      const result = await work()
      await this.exec(`RELEASE ${name}`)
      return result
    } catch (error) {
      // A full disk or a lost connection takes the whole transaction with it; then there is nothing to go back to.
      if (this.#ended || !this.#session.inTransaction) throw error
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

  #execute(sql: string, parameters: readonly unknown[], isPrepared: boolean): Promise<Executed> {
    return this.#guarded(() => this.#session.execute(sql, parameters, isPrepared))
  }

  async *#iterate(sql: string, parameters: readonly unknown[]): AsyncGenerator<Record<string, unknown>> {
    const rows = await this.#guarded(() => this.#session.iterate(sql, parameters))
    yield* rows
  }

  /** Begins at once, so that statements reach the database in the order they were asked for. */
  async #guarded<R>(work: () => R | Promise<R>): Promise<R> {
    if (this.#ended) throw new Error('the transaction is over')
    if (this.#failed !== undefined) {
      throw new Error('a statement of the transaction failed before', { cause: this.#failed })
    }
    try {
      return await work()
    } catch (error) {
      this.#failed ??= error instanceof Error ? error : new Error(String(error))
      throw error
    }
  }
}
