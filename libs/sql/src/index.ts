/**
 * @postbus/sql — a service's own tables: Kysely over SQLite or PostgreSQL, transactions, migrations, typed failures.
 *
 *   const db = openDatabase<Tables>(location, { schema: 'service', ...databaseOptions(config, log) })
 *   await migrate(db, migrations)
 *   await db.query.selectFrom('account').selectAll().execute()               reading: what is committed, at once
 *   await db.transaction(async (transaction) => { … transaction.query … })   writing: durable when it resolves
 *
 * Hot paths compile their statements once (`db.prepare`, `statement`) and run them with `all`, `first`, `run`, `runEach`.
 */
export type { Database, Reader, Transaction, TransactionOptions } from './database.ts'
export {
  type Constraint,
  ConstraintViolated,
  StorageBusy,
  StorageCorrupt,
  StorageFailed,
  StorageFull,
} from './errors.ts'
export { migrate, type Migration, SchemaMismatch } from './migrate.ts'
export { isPostgres } from './location.ts'
export { type DatabaseOptions, openDatabase } from './open-database.ts'
export { openPostgres, type PostgresOptions } from './postgres/database.ts'
export { examinePostgres, type ServerReport } from './postgres/examine.ts'
export { type Param, type Prepared, statement } from './prepared.ts'
export { CannotMove, type MovedTable, moveRows } from './move-rows.ts'
export { databaseMetrics, databaseTable } from './metrics.ts'
export { observed, type Observer } from './observed.ts'
export { type DatabasePlace, markRestored, whenRestored } from './restored.ts'
export type { Dialect } from './session.ts'
export { databaseLocation, databaseOptions, databaseSettings, type DatabaseSettings } from './settings.ts'
export { openSqlite, type SqliteOptions } from './sqlite/database.ts'
export { copyDatabase, type DatabaseReport, examineDatabase } from './sqlite/snapshot.ts'
export { temporaryDatabase, temporaryFile } from './temporary.ts'
