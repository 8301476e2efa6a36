/** Resolves when the migrations of this version are done; as a pod waits that cannot begin before. */
import { setTimeout as pause } from 'node:timers/promises'

import { openDatabase, type Database } from '@postbus/sql'

import { NOTES_SCHEMA } from './roles.ts'
import { databaseUrl, type AwaitConfig } from './settings.ts'

const LOOK_MS = 1_000
/** Looks until the log says again what is waited for. */
const TOLD_EVERY = 15

type Notes = { migrated: { version: string } }

export async function awaitMigrations(
  config: AwaitConfig,
  version: string,
  say: (line: string) => void,
): Promise<void> {
  const options = { schema: NOTES_SCHEMA, connections: 2, readOnly: true, busyTimeoutMs: 5_000 }
  const url = databaseUrl(config, 'observer', config.DATABASE_PASSWORD)
  for (let look = 0; ; look++) {
    const db = openDatabase<Notes>(url, options)
    // No server yet, no role, no table: all of it comes.
    const found = await isDone(db, version).catch((error: unknown) => error)
    await db.close()
    if (found === true) return
    if (look % TOLD_EVERY === 0) {
      say(`waiting for the migrations of ${version}${found instanceof Error ? `: ${found.message}` : ''}`)
    }
    await pause(LOOK_MS)
  }
}

async function isDone(db: Database<Notes>, version: string): Promise<boolean> {
  const row = await db.query.selectFrom('migrated').select('version').where('version', '=', version).executeTakeFirst()
  return row !== undefined
}
