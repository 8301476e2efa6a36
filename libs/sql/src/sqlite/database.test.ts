import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { statSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { test } from 'node:test'

import { sql } from 'kysely'

import {
  migrate,
  openSqlite,
  StorageBusy,
  StorageCorrupt,
  StorageFull,
  temporaryDatabase,
  temporaryFile,
} from '../index.ts'
import { databaseContract, item, migrations, type Tables } from '../../test/database.contract.ts'

databaseContract('SQLite', async (t) => temporaryFile(t))
databaseContract('SQLite, flushed beside', async (t) => temporaryFile(t), { flushBeside: true })

test('a commit is flushed to the disk, and foreign keys are enforced', async (t) => {
  const db = await temporaryDatabase<Tables>(t, migrations)
  await db.transaction(async ({ query }) => {
    const pragmas = await Promise.all(
      ['journal_mode', 'synchronous', 'foreign_keys'].map(
        async (name) => (await sql.raw(`pragma ${name}`).execute(query)).rows[0],
      ),
    )
    assert.deepEqual(pragmas, [{ journal_mode: 'wal' }, { synchronous: 2 }, { foreign_keys: 1 }])
  })
})

test('a file another process holds is StorageBusy in the end, and waited for until then', async (t) => {
  const path = temporaryFile(t)
  const db = openSqlite<Tables>(path, { busyTimeoutMs: 20 })
  t.after(() => db.close())
  await migrate(db, migrations)
  const holder = await holdWriter(t, path)
  await assert.rejects(
    db.transaction(async () => {}),
    StorageBusy,
  )
  const patient = openSqlite<Tables>(path, { busyTimeoutMs: 20_000 })
  t.after(() => patient.close())
  const waiting = patient.transaction(async ({ query }) => {
    await query.insertInto('item').values(item(1)).execute()
  })
  holder.letGo()
  await waiting
})

test('a full database is StorageFull and keeps what it had', async (t) => {
  const db = await temporaryDatabase<Tables>(t, migrations)
  await db.transaction(({ query }) => query.insertInto('item').values(item(1)).execute())
  const fill = db.transaction(async (transaction) => {
    await transaction.exec('pragma max_page_count = 20')
    await transaction.query
      .insertInto('item')
      .values({ id: 2, name: 'big', bytes: new Uint8Array(200_000) })
      .execute()
  })
  await assert.rejects(fill, StorageFull)
  assert.equal((await db.query.selectFrom('item').selectAll().execute()).length, 1)
})

test('a file that is no database is StorageCorrupt', (t) => {
  const path = temporaryFile(t)
  writeFileSync(path, 'this is certainly not a database, whatever its name says'.repeat(100))
  assert.throws(() => openSqlite(path), StorageCorrupt)
})

test('nobody else on the machine can read the file or its log', async (t) => {
  const path = temporaryFile(t, 'deep/er/test.db')
  const db = openSqlite<Tables>(path)
  t.after(() => db.close())
  await migrate(db, migrations)
  const modes = [dirname(path), path, `${path}-wal`].map((file) => (statSync(file).mode & 0o777).toString(8))
  assert.deepEqual(modes, ['700', '600', '600'])
})

test('a reader beside the writer sees commits and cannot write', async (t) => {
  const path = temporaryFile(t)
  const writer = openSqlite<Tables>(path)
  await migrate(writer, migrations)
  const reader = openSqlite<Tables>(path, { readOnly: true })
  t.after(async () => {
    await reader.close()
    await writer.close()
  })
  await writer.transaction(({ query }) => query.insertInto('item').values(item(1)).execute())
  assert.equal((await reader.query.selectFrom('item').selectAll().execute()).length, 1)
  await assert.rejects(
    reader.transaction(async () => {}),
    /reading only/,
  )
})

test('processes that start and write at once take turns: none is refused, nothing is lost', async (t) => {
  const path = temporaryFile(t)
  const script = `
    const { migrate, openSqlite } = await import(process.argv[1])
    const db = openSqlite(process.argv[2])
    await migrate(db, [{ name: '1', sqlite: 'create table counter (n integer not null) strict; insert into counter values (0)' }])
    for (let turn = 0; turn < 50; turn++) {
      await db.transaction(async ({ query }) => {
        const { n } = await query.selectFrom('counter').select('n').executeTakeFirstOrThrow()
        await new Promise(setImmediate)
        await query.updateTable('counter').set({ n: n + 1 }).execute()
      })
    }
    await db.close()`
  const library = new URL('../index.ts', import.meta.url).href
  const writers = Array.from({ length: 3 }, () => {
    const args = ['--input-type=module', '-e', script, library, path]
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'inherit', 'inherit'] })
    t.after(() => child.kill())
    return once(child, 'exit')
  })
  assert.deepEqual(
    (await Promise.all(writers)).map(([code]) => code),
    [0, 0, 0],
  )
  const db = openSqlite<{ counter: { n: number } }>(path)
  t.after(() => db.close())
  assert.deepEqual(await db.query.selectFrom('counter').selectAll().execute(), [{ n: 150 }])
})

/** Another process that has begun to write; it goes on holding the file until it is told to stop. */
async function holdWriter(t: { after(clean: () => void): void }, path: string): Promise<{ letGo(): void }> {
  const script = `
    const db = new (require('node:sqlite').DatabaseSync)(process.argv[1])
    db.exec('begin immediate')
    console.log('held')
    process.stdin.on('end', () => db.exec('rollback')).resume()`
  const child = spawn(process.execPath, ['-e', script, path], { stdio: ['pipe', 'pipe', 'inherit'] })
  t.after(() => child.kill())
  await once(child.stdout, 'data')
  return { letGo: () => child.stdin.end() }
}
