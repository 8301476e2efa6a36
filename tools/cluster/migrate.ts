/**
 * Brings PostgreSQL to this version: roles, schemas and rights as an administrator, then every service's migrations, each as the role that
 * owns them; at the end the version is noted, for which pods wait. Safe to run again, and beside services of the previous version.
 */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'

import { migrate, openDatabase, StorageBusy, type Database, type Migration } from '@postbus/sql'

import { NOTES_SCHEMA, owners, preparation, roles, type Role } from './roles.ts'
import { databaseUrl, type MigrateConfig } from './settings.ts'

const ofService: Record<(typeof owners)[number], () => Promise<readonly Migration[]>> = {
  custody: async () => (await import('@postbus/custody/migrations')).migrations,
  delivery: async () => (await import('@postbus/delivery/migrations')).migrations,
  directory: async () => (await import('@postbus/directory/migrations')).migrations,
  mailstore: async () => (await import('@postbus/mailstore/migrations')).migrations,
}

const RETRY_MS = 1_000

export async function migrateAll(config: MigrateConfig, version: string, say: (line: string) => void): Promise<void> {
  const password = async (name: string): Promise<string> =>
    (await readFile(join(config.DATABASE_PASSWORDS_DIR, name), 'utf8')).trim()
  const passwords = new Map<Role, string>()
  for (const role of roles) passwords.set(role, await password(role))
  const passwordOf = (role: Role): string => passwords.get(role) ?? ''

  const administration = openDatabase<unknown>(databaseUrl(config, config.DATABASE_ADMIN, await password('admin')), {
    schema: NOTES_SCHEMA,
    connections: 2,
  })
  try {
    await patiently(config.CLUSTER_PATIENCE_S, () =>
      exec(administration, preparation(config.DATABASE_NAME, passwordOf, config.DATABASE_HOLDS_BYTES)),
    )
    say('roles and schemas: as they should be')

    const stepsOf = async (schema: string, owner: Role, migrations: readonly Migration[]): Promise<void> => {
      const db = openDatabase<unknown>(databaseUrl(config, owner, passwordOf(owner)), { schema, connections: 2 })
      try {
        const taken = await migrate(db, migrations)
        say(`${schema}: ${taken.length === 0 ? 'nothing to do' : taken.join(', ')}`)
      } finally {
        await db.close()
      }
    }
    for (const owner of owners) await stepsOf(owner, owner, await ofService[owner]())

    await exec(
      administration,
      `insert into ${NOTES_SCHEMA}.migrated (version) values ('${version}') on conflict do nothing`,
    )
    say(`version ${version}: noted`)
  } finally {
    await administration.close()
  }
}

const exec = (db: Database<unknown>, sql: string): Promise<void> =>
  db.transaction((transaction) => transaction.exec(sql))

/** A server that is not up yet is waited for. */
async function patiently(patienceS: number, work: () => Promise<void>): Promise<void> {
  for (const deadline = performance.now() + patienceS * 1000; ; await pause(RETRY_MS)) {
    try {
      return await work()
    } catch (error) {
      if (!(error instanceof StorageBusy) || performance.now() > deadline) throw error
    }
  }
}
