/** Kysely on top of anything that executes SQL. Transactions are the database's business, not Kysely's. */
import {
  type CompiledQuery,
  type DatabaseConnection,
  type Dialect as KyselyDialect,
  type Driver,
  Kysely,
  PostgresAdapter,
  PostgresIntrospector,
  PostgresQueryCompiler,
  type QueryResult,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
} from 'kysely'

import type { Dialect, Executor } from './session.ts'

/** Kysely would queue every query behind an open stream; statements here never interleave. */
class Adapter extends SqliteAdapter {
  override get supportsMultipleConnections(): boolean {
    return true
  }
}

const dialects: Record<Dialect, Omit<KyselyDialect, 'createDriver'>> = {
  sqlite: {
    createQueryCompiler: () => new SqliteQueryCompiler(),
    createAdapter: () => new Adapter(),
    createIntrospector: (db) => new SqliteIntrospector(db),
  },
  postgres: {
    createQueryCompiler: () => new PostgresQueryCompiler(),
    createAdapter: () => new PostgresAdapter(),
    createIntrospector: (db) => new PostgresIntrospector(db),
  },
}

export function queriesOver<DB>(executor: Executor): Kysely<DB> {
  return new Kysely<DB>({ dialect: { ...dialects[executor.dialect], createDriver: () => driverOver(executor) } })
}

function driverOver(executor: Executor): Driver {
  const connection: DatabaseConnection = {
    async executeQuery<Row>({ sql, parameters }: CompiledQuery): Promise<QueryResult<Row>> {
      const { rows, changes, insertId } = await executor.execute(sql, parameters, false)
      // Kysely's Row is what the query builder says of the SQL it wrote.
      const result = { rows: rows as Row[], numAffectedRows: BigInt(changes) }
      return insertId === undefined ? result : { ...result, insertId: BigInt(insertId) }
    },
    async *streamQuery<Row>({ sql, parameters }: CompiledQuery): AsyncGenerator<QueryResult<Row>> {
      for await (const row of executor.iterate(sql, parameters)) yield { rows: [row as Row] }
    },
  }
  const refuse = async (): Promise<never> => {
    throw new Error('use Database.transaction: it queues writers and is durable')
  }
  return {
    init: async () => {},
    acquireConnection: async () => connection,
    beginTransaction: refuse,
    commitTransaction: refuse,
    rollbackTransaction: refuse,
    releaseConnection: async () => {},
    destroy: async () => {},
  }
}
