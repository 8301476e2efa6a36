/** Roles, rights and migrations on a real PostgreSQL, as its administrator and then as each service. */
import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'

import { openDatabase } from '@postbus/sql'
import { startPostgres } from '@postbus/testkit'

import { awaitMigrations } from './await-migrations.ts'
import { migrateAll } from './migrate.ts'
import { owners, roles, shared, type Role } from './roles.ts'
import { databaseUrl, type MigrateConfig } from './settings.ts'

const ADMIN = 'migrations_admin'
const silent = (): void => {}
const passwordOf = (role: string): string => `it's ${role}`

async function prepared(t: TestContext): Promise<MigrateConfig> {
  const server = await startPostgres(t)
  const url = new URL(server.url)
  const database = url.pathname.slice(1)
  // Not the superuser: what a managed PostgreSQL gives its customers.
  await server.administer(`
    do $$ begin if to_regrole('${ADMIN}') is null then
      create role ${ADMIN} login createrole password ${literal(passwordOf('admin'))};
    end if; end $$;
    grant ${url.username} to ${ADMIN};
    alter database ${database} owner to ${ADMIN}`)
  const dir = await mkdtemp(join(tmpdir(), 'postbus-passwords-'))
  t.after(() => rm(dir, { recursive: true, force: true }))
  for (const name of ['admin', ...roles]) await writeFile(join(dir, name), `${passwordOf(name)}\n`)
  return {
    DATABASE_HOST: url.host,
    DATABASE_NAME: database,
    DATABASE_PASSWORDS_DIR: dir,
    DATABASE_ADMIN: ADMIN,
    DATABASE_HOLDS_BYTES: true,
    CLUSTER_PATIENCE_S: 120,
  }
}

const literal = (text: string): string => `'${text.replaceAll("'", "''")}'`

type Counted = { schema_version: { version: number } }

async function stepsSeenBy(config: MigrateConfig, role: Role, schema: string): Promise<number> {
  const db = openDatabase<Counted>(databaseUrl(config, role, passwordOf(role)), {
    schema,
    connections: 2,
    readOnly: true,
  })
  try {
    return (await db.query.withSchema(schema).selectFrom('schema_version').select('version').execute()).length
  } finally {
    await db.close()
  }
}

test('every service finds its own schema made, may not look into another, and a second run changes nothing', async (t) => {
  const config = await prepared(t)
  await migrateAll(config, '1.0.0', silent)
  for (const owner of owners) assert.ok((await stepsSeenBy(config, owner, owner)) > 0, owner)
  for (const owner of owners) {
    const other: Role = owner === 'custody' ? 'directory' : 'custody'
    await assert.rejects(stepsSeenBy(config, owner, other), /permission denied/)
  }
  const lines: string[] = []
  await migrateAll(config, '1.0.0', (line) => lines.push(line))
  assert.deepEqual(
    lines.filter((line) => /^\w+: /.test(line) && !line.endsWith('nothing to do')),
    [],
  )
})

test('spool and bytes are open to those who work with them, and to nobody else', async (t) => {
  const config = await prepared(t)
  await migrateAll(config, '1.0.0', silent)
  for (const { schema, owner, writers, readers } of shared) {
    const allowed = [owner, ...writers, ...readers]
    for (const role of roles) {
      const looks = stepsSeenBy(config, role, schema)
      if (allowed.includes(role)) assert.ok((await looks) > 0, `${role} on ${schema}`)
      else await assert.rejects(looks, /permission denied/, `${role} on ${schema}`)
    }
  }
})

test('who waits for the migrations of a version goes on when they are done, and not before', async (t) => {
  const config = await prepared(t)
  let isDone = false
  const told = Promise.withResolvers<string>()
  const waiting = awaitMigrations({ ...config, DATABASE_PASSWORD: passwordOf('observer') }, '2.0.0', told.resolve).then(
    () => assert.ok(isDone, 'went on too early'),
  )
  assert.match(await told.promise, /waiting for the migrations of 2\.0\.0/)
  await migrateAll(config, '1.0.0', silent)
  isDone = true
  await migrateAll(config, '2.0.0', silent)
  await waiting
})
