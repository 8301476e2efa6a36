/**
 * Brings a database to the schema its service was written for: forward only, each step whole or not at all, and one
 * process at a time (the others wait, and find it done).
 *
 * The steps are the same for every dialect, in name and order; each says in the dialect's own SQL what it does, because
 * that is where databases differ most.
 */
import type { Database, Transaction } from './database.ts'
import { StorageBusy } from './errors.ts'

export interface Migration {
  /** `0001-what-it-does`; never changed after a release. */
  readonly name: string
  /** SQL, or a function where rows must be worked over; it knows the tables of its own time only. */
  readonly sqlite: string | ((transaction: Transaction<unknown>) => Promise<void>)
}

/** The file is newer than this program, or belongs to another one. */
export class SchemaMismatch extends Error {
  override readonly name = 'SchemaMismatch'
}

type VersionTable = {
  schema_version: { version: number; name: string; applied_at: string }
}

/** A step of another process may take this long. */
const LOCK_WAIT_MS = 5 * 60_000

/** @returns the names of the steps that were taken now */
export async function migrate<DB>(db: Database<DB>, migrations: readonly Migration[]): Promise<string[]> {
  const taken: string[] = []
  // Whatever the service's tables are, this one is ours.
  const versioned = db as unknown as Database<VersionTable>
  const deadline = performance.now() + LOCK_WAIT_MS
  for (;;) {
    try {
      const step = await versioned.transaction((transaction) => takeStep(transaction, migrations, db.name))
      if (step === null) return taken
      taken.push(step)
    } catch (error) {
      if (!(error instanceof StorageBusy) || performance.now() > deadline) throw error
    }
  }
}

/** What has been done is read inside the transaction that does the next: another process may have been here meanwhile. */
async function takeStep(
  transaction: Transaction<VersionTable>,
  migrations: readonly Migration[],
  name: string,
): Promise<string | null> {
  await transaction.exec(
    'create table if not exists schema_version (version integer primary key, name text not null, applied_at text not null) strict',
  )
  const versions = transaction.query
  const done = await versions.selectFrom('schema_version').selectAll().orderBy('version').execute()
  if (done.length > migrations.length) {
    throw new SchemaMismatch(`${name}: schema ${done.length} is newer than this program (${migrations.length})`)
  }
  done.forEach((row, index) => {
    if (row.name === migrations[index]?.name) return
    throw new SchemaMismatch(`${name}: step ${index + 1} was '${row.name}', here it is '${migrations[index]?.name}'`)
  })
  const next = migrations[done.length]
  if (next === undefined) return null
  if (typeof next.sqlite === 'string') await transaction.exec(next.sqlite)
  else await next.sqlite(transaction as unknown as Transaction<unknown>)
  await versions
    .insertInto('schema_version')
    .values({ version: done.length + 1, name: next.name, applied_at: new Date().toISOString() })
    .execute()
  return next.name
}
