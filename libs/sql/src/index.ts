/**
 * @postbus/sql — a service's own tables: Kysely over SQLite, transactions that queue, migrations, typed failures.
 *
 *   const db = openSqlite<Tables>(path)
 *   await migrate(db, migrations)
 *   await db.query.selectFrom('account').selectAll().execute()               reading: what is committed, at once
 *   await db.transaction(async (transaction) => { … transaction.query … })   writing: durable when it resolves
 *
 * Hot paths compile their statements once (`db.prepare`) and run them with `all`, `first`, `run`, `runEach`.
 */
export type { Database, Reader, Transaction } from './database.ts'
export {
  type Constraint,
  ConstraintViolated,
  StorageBusy,
  StorageCorrupt,
  StorageFailed,
  StorageFull,
} from './errors.ts'
export { migrate, type Migration, SchemaMismatch } from './migrate.ts'
export type { Param, Prepared } from './prepared.ts'
export { copyDatabase, type DatabaseReport, examineDatabase } from './snapshot.ts'
export { markRestored, whenRestored } from './restored.ts'
export { openSqlite, type SqliteOptions } from './sqlite.ts'
export { temporaryDatabase, temporaryFile } from './temporary.ts'
