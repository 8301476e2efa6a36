/**
 * Brings a database to the schema its service was written for: forward only, each step whole or not at all, and one
 * process at a time (the others wait, and find it done).
 *
 * The steps are the same for every dialect, in name and order; each says in the dialect's own SQL what it does, because
 * that is where databases differ most. On PostgreSQL processes of the previous version go on working meanwhile: a step adds, and takes away
 * or changes the meaning of nothing that version uses.
 */
import type { Database, Transaction } from './database.ts'
import { StorageBusy } from './errors.ts'
import type { Dialect } from './session.ts'

/** SQL, or a function where rows must be worked over; it knows the tables of its own time only. */
export type Step = string | ((transaction: Transaction<unknown>) => Promise<void>)

export interface Migration {
  /** `0001-what-it-does`; never changed after a release. */
  readonly name: string
  readonly sqlite: Step
  /** Text columns say `collate "C"`: see database.ts. Absent: the service keeps these tables in SQLite only. */
  readonly postgres?: Step
}

/** The database is newer than this program, or belongs to another one. */
export class SchemaMismatch extends Error {
  override readonly name = 'SchemaMismatch'
}

type VersionTable = {
  schema_version: { version: number; name: string; applied_at: string }
}

const versionTable = (schema: string): Record<Dialect, string> => ({
  sqlite:
    'create table if not exists schema_version (version integer primary key, name text not null, applied_at text not null) strict',
  // Asked first: whoever was only given a schema may not make one, not even one that exists.
  postgres: `
    do $$ begin
      if to_regnamespace('${schema}') is null then create schema ${schema}; end if;
      if to_regclass('${schema}.schema_version') is null then
        create table ${schema}.schema_version
          (version integer primary key, name text collate "C" not null, applied_at text collate "C" not null);
      end if;
    end $$`,
})

/** A step of another process may take this long, or a server to come up. */
const WAIT_MS = 5 * 60_000
/** Steps take turns; what other transactions do goes on. */
const OPTIONS = { locks: ['schema_version'], statementTimeoutMs: 0 }

/** @returns the names of the steps that were taken now */
export async function migrate<DB>(db: Database<DB>, migrations: readonly Migration[]): Promise<string[]> {
  const taken: string[] = []
  // Whatever the service's tables are, this one is ours.
  const versioned = db as unknown as Database<VersionTable>
  const deadline = performance.now() + WAIT_MS
  for (;;) {
    try {
      const step = await versioned.transaction((transaction) => takeStep(transaction, migrations, db), OPTIONS)
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
  { name, schema, dialect }: Pick<Database<unknown>, 'name' | 'schema' | 'dialect'>,
): Promise<string | null> {
  await transaction.exec(versionTable(schema)[dialect])
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
  const step = next[dialect]
  if (step === undefined) throw new SchemaMismatch(`${name}: step '${next.name}' is for SQLite only`)
  if (typeof step === 'string') await transaction.exec(step)
  else await step(transaction as unknown as Transaction<unknown>)
  await versions
    .insertInto('schema_version')
    .values({ version: done.length + 1, name: next.name, applied_at: new Date().toISOString() })
    .execute()
  return next.name
}
