/** One setting says where a service's tables are: a file, or a server. */
import type { Database } from './database.ts'
import { isPostgres } from './location.ts'
import { observed, type Observer } from './observed.ts'
import { openPostgres, type PostgresOptions } from './postgres/database.ts'
import { openSqlite, type SqliteOptions } from './sqlite/database.ts'

/** Each dialect takes what concerns it. */
export type DatabaseOptions = PostgresOptions & SqliteOptions & { observer?: Observer }

/** @param location a path (SQLite), or `postgres://user:password@host:port/database`. */
export function openDatabase<DB>(location: string, options: DatabaseOptions): Database<DB> {
  const database = isPostgres(location) ? openPostgres<DB>(location, options) : openSqlite<DB>(location, options)
  return options.observer === undefined ? database : observed(database, options.observer)
}
