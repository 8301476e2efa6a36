/** Kysely on top of anything that executes SQL. Transactions are the database's business, not Kysely's. */
import {
  type CompiledQuery,
  type DatabaseConnection,
  type Dialect,
  type Driver,
  type QueryResult,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
} from 'kysely'

import type { Executed } from './connection.ts'

export interface Executor {
  execute(sql: string, parameters: readonly unknown[]): Executed
  iterate(sql: string, parameters: readonly unknown[]): Iterable<Record<string, unknown>>
}

/** Kysely would queue every query behind an open stream; statements here never interleave. */
class Adapter extends SqliteAdapter {
  override get supportsMultipleConnections(): boolean {
    return true
  }
}

export function sqliteDialect(executor: Executor): Dialect {
  return {
    createDriver: () => driverOver(executor),
    createQueryCompiler: () => new SqliteQueryCompiler(),
    createAdapter: () => new Adapter(),
    createIntrospector: (db) => new SqliteIntrospector(db),
  }
}

function driverOver(executor: Executor): Driver {
  const connection: DatabaseConnection = {
    async executeQuery<Row>({ sql, parameters }: CompiledQuery): Promise<QueryResult<Row>> {
      const { rows, changes, insertId } = executor.execute(sql, parameters)
      // Kysely's Row is what the query builder says of the SQL it wrote.
      return { rows: rows as Row[], numAffectedRows: BigInt(changes), insertId: BigInt(insertId) }
    },
    async *streamQuery<Row>({ sql, parameters }: CompiledQuery): AsyncGenerator<QueryResult<Row>> {
      for (const row of executor.iterate(sql, parameters)) yield { rows: [row as Row] }
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
