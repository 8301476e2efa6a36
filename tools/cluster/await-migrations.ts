/** Resolves when the migrations of this version are done; as a pod waits that cannot begin before. */
import { setTimeout as pause } from 'node:timers/promises'

import { openDatabase } from '@postbus/sql'

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
  const db = openDatabase<Notes>(databaseUrl(config, 'observer', config.DATABASE_PASSWORD), {
    ...{ schema: NOTES_SCHEMA, readOnly: true, connections: 2, busyTimeoutMs: LOOK_MS },
  })
  const isDone = async (): Promise<boolean> => {
    const notes = db.query.selectFrom('migrated').select('version').where('version', '=', version)
    return (await notes.executeTakeFirst()) !== undefined
  }
  try {
    for (let look = 0; ; look++) {
      // No server yet, no role, no table: all of it comes.
      const found = await isDone().catch((error: unknown) => error)
      if (found === true) return
      if (look % TOLD_EVERY === 0) {
        say(`waiting for the migrations of ${version}${found instanceof Error ? `: ${found.message}` : ''}`)
      }
      await pause(LOOK_MS)
    }
  } finally {
    await db.close()
  }
}
