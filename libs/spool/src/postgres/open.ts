/** The database of a spool, with its tables when somebody first needs them. */
import { Chunks } from '@postbus/blobs/chunks'
import { type Database, migrate, openPostgres, type PostgresOptions } from '@postbus/sql'

import { migrations, SPOOL_SCHEMA, type SpoolTables } from './migrations.ts'

export type SpoolDatabaseOptions = Omit<PostgresOptions, 'schema'>

export class SpoolDatabase {
  readonly chunks: Chunks<SpoolTables>
  readonly #db: Database<SpoolTables>
  #migrated: Promise<unknown> | undefined

  /** @param url `postgres://user:password@host:port/database`; nothing is connected before it is needed */
  constructor(url: string, options: SpoolDatabaseOptions, now: () => number = Date.now) {
    this.#db = openPostgres<SpoolTables>(url, { ...options, schema: SPOOL_SCHEMA })
    this.chunks = new Chunks(this.#db, { table: 'record', column: 'content' }, now)
  }

  /** A migration that failed is tried again by whoever comes next. */
  async ready(): Promise<Database<SpoolTables>> {
    this.#migrated ??= migrate(this.#db, migrations).catch((cause: unknown) => {
      this.#migrated = undefined
      throw cause
    })
    await this.#migrated
    return this.#db
  }

  async close(): Promise<void> {
    await this.#db.close()
  }
}
