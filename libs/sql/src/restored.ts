/**
 * A mark on a database that was put back from a backup, for the service whose clients may know later things than it holds: a file beside a
 * SQLite file; in PostgreSQL an empty table, `create table <schema>.restored ()`, which whoever restores it makes.
 */
import { existsSync } from 'node:fs'
import { rm, writeFile } from 'node:fs/promises'

import { sql } from 'kysely'

import { isPostgres } from './location.ts'
import { openPostgres } from './postgres/database.ts'

export interface DatabasePlace {
  location: string
  schema: string
}

const markOf = (file: string): string => `${file}.restored`

export async function markRestored(file: string): Promise<void> {
  await writeFile(markOf(file), '')
}

/** Does `work` where the mark is, and takes the mark away after it. A crash in between, or another replica, does it twice. */
export async function whenRestored({ location, schema }: DatabasePlace, work: () => Promise<void>): Promise<void> {
  if (isPostgres(location)) return whenRestoredIn(location, schema, work)
  if (!existsSync(markOf(location))) return
  await work()
  await rm(markOf(location), { force: true })
}

async function whenRestoredIn(url: string, schema: string, work: () => Promise<void>): Promise<void> {
  const db = openPostgres(url, { schema, connections: 2 })
  try {
    const { rows } = await sql`select from pg_class where oid = to_regclass('restored')`.execute(db.query)
    if (rows.length === 0) return
    await work()
    await db.transaction((transaction) => transaction.exec('drop table if exists restored'), {
      locks: ['schema_version'],
    })
  } finally {
    await db.close()
  }
}
