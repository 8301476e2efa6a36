/** A database of a test's own. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import type { Database } from './database.ts'
import { type Migration, migrate } from './migrate.ts'
import { openSqlite } from './sqlite/database.ts'

interface Test {
  after(clean: () => Promise<void> | void): void
}

/** The path of a file that does not exist yet, in a directory that is gone after the test. */
export function temporaryFile(t: Test, name = 'test.db'): string {
  const directory = mkdtempSync(join(tmpdir(), 'postbus-sql-'))
  t.after(() => rmSync(directory, { recursive: true, force: true }))
  return join(directory, name)
}

/** A migrated database in a temporary file; closed and removed after the test. */
export async function temporaryDatabase<DB>(t: Test, migrations: readonly Migration[]): Promise<Database<DB>> {
  const directory = mkdtempSync(join(tmpdir(), 'postbus-sql-'))
  const db = openSqlite<DB>(join(directory, 'test.db'))
  t.after(async () => {
    await db.close()
    rmSync(directory, { recursive: true, force: true })
  })
  await migrate(db, migrations)
  return db
}
