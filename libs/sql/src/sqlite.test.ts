import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { statSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { test } from 'node:test'

import { sql } from 'kysely'

import {
  ConstraintViolated,
  type Migration,
  migrate,
  openSqlite,
  type Param,
  SchemaMismatch,
  StorageBusy,
  StorageCorrupt,
  StorageFailed,
  StorageFull,
  temporaryDatabase,
  temporaryFile,
} from './index.ts'

type Tables = { item: { id: number; name: string; bytes: Uint8Array | null } }

const migrations: Migration[] = [
  {
    name: '0001-item',
    sqlite: 'create table item (id integer primary key, name text not null unique, bytes blob) strict',
  },
]

const item = (id: number, name = `n${id}`) => ({ id, name, bytes: null })

test('what a transaction wrote is there when it resolves, as ordinary objects', async (t) => {
  const db = await temporaryDatabase<Tables>(t, migrations)
  const bytes = new Uint8Array([0, 1, 255])
  const inserted = await db.transaction(({ query }) =>
    query.insertInto('item').values({ id: 7, name: 'seven', bytes }).returning('id').executeTakeFirstOrThrow(),
  )
  assert.deepEqual(inserted, { id: 7 })
  assert.deepEqual(await db.query.selectFrom('item').selectAll().execute(), [{ id: 7, name: 'seven', bytes }])
  const result = await db.transaction(({ query }) => query.updateTable('item').set({ name: 'x' }).executeTakeFirst())
  assert.equal(result.numUpdatedRows, 1n)
})

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

test('a transaction that throws leaves nothing behind', async (t) => {
  const db = await temporaryDatabase<Tables>(t, migrations)
  const failure = new Error('changed my mind')
  const attempt = db.transaction(async ({ query }) => {
    await query.insertInto('item').values(item(1)).execute()
    throw failure
  })
  await assert.rejects(attempt, failure)
  assert.deepEqual(await db.query.selectFrom('item').selectAll().execute(), [])
})

test('transactions neither overlap nor let a reader see half of one', async (t) => {
  const path = temporaryFile(t)
  const [one, two] = [openSqlite<Tables>(path), openSqlite<Tables>(path)]
  t.after(() => Promise.all([one.close(), two.close()]))
  await migrate(one, migrations)
  const gate = Promise.withResolvers<void>()
  const begun = Promise.withResolvers<void>()
  const order: string[] = []
  const first = one.transaction(async ({ query }) => {
    await query.insertInto('item').values(item(1)).execute()
    order.push('first begins')
    begun.resolve()
    await gate.promise
    await query.insertInto('item').values(item(2)).execute()
    order.push('first ends')
  })
  const others = [two, one].map((db, index) =>
    db.transaction(async ({ query }) => {
      const { n } = await query
        .selectFrom('item')
        .select(({ fn }) => fn.countAll<number>().as('n'))
        .executeTakeFirstOrThrow()
      order.push(`other ${index} sees ${n}`)
    }),
  )
  await begun.promise
  assert.deepEqual(await one.query.selectFrom('item').selectAll().execute(), [], 'not committed yet')
  gate.resolve()
  await Promise.all([first, ...others])
  assert.deepEqual(order, ['first begins', 'first ends', 'other 0 sees 2', 'other 1 sees 2'])
})

test('a transaction inside a transaction is refused instead of waiting for itself', async (t) => {
  const db = await temporaryDatabase<Tables>(t, migrations)
  await assert.rejects(
    db.transaction(() => db.transaction(async () => {})),
    /inside a transaction/,
  )
  let afterwards: Promise<void> | undefined
  await db.transaction(async () => {
    afterwards = new Promise((resolve) => setImmediate(resolve)).then(() => db.transaction(async () => {}))
  })
  await afterwards
})

test('nobody writes through a transaction that is over, or past its failure', async (t) => {
  const db = await temporaryDatabase<Tables>(t, migrations)
  const kept = await db.transaction(async (transaction) => transaction)
  await assert.rejects(kept.query.insertInto('item').values(item(1)).execute(), /is over/)
  const swallowed = db.transaction(async ({ query }) => {
    await query.insertInto('item').values(item(1)).execute()
    await query
      .insertInto('item')
      .values(item(1))
      .execute()
      .catch(() => {})
  })
  await assert.rejects(swallowed, ConstraintViolated)
  assert.deepEqual(await db.query.selectFrom('item').selectAll().execute(), [])
})

test('what fails inside a savepoint leaves the rest of the transaction whole', async (t) => {
  const db = await temporaryDatabase<Tables>(t, migrations)
  await db.transaction(async (transaction) => {
    for (const row of [item(1), item(2), item(2), item(3)]) {
      await transaction
        .savepoint(() => transaction.query.insertInto('item').values(row).execute())
        .catch((error) => assert.ok(error instanceof ConstraintViolated))
    }
  })
  assert.deepEqual(
    (await db.query.selectFrom('item').select('id').execute()).map(({ id }) => id),
    [1, 2, 3],
  )
})

test('reading outside a transaction cannot write', async (t) => {
  const db = await temporaryDatabase<Tables>(t, migrations)
  await assert.rejects(db.query.insertInto('item').values(item(1)).execute(), StorageFailed)
  await assert.rejects(
    db.query.transaction().execute(async () => {}),
    /Database.transaction/,
  )
})

test('a prepared statement binds what each run gives', async (t) => {
  const db = await temporaryDatabase<Tables>(t, migrations)
  const insert = db.prepare((query, param: Param<Tables['item']>) =>
    query.insertInto('item').values({ id: param('id'), name: param('name'), bytes: param('bytes') }),
  )
  const from = db.prepare((query, param: Param<{ id: number }>) =>
    query.selectFrom('item').select('name').where('id', '>=', param('id')).orderBy('id').limit(2),
  )
  assert.equal(await db.transaction((transaction) => transaction.runEach(insert, [item(1), item(2), item(3)])), 3)
  assert.equal(await db.transaction((transaction) => transaction.run(insert, item(4))), 1)
  assert.deepEqual(await db.all(from, { id: 2 }), [{ name: 'n2' }, { name: 'n3' }])
  assert.deepEqual(await db.first(from, { id: 4 }), { name: 'n4' })
  assert.equal(await db.first(from, { id: 5 }), undefined)
})

test('rows can be streamed while others read the same table', async (t) => {
  const db = await temporaryDatabase<Tables>(t, migrations)
  await db.transaction(({ query }) =>
    query
      .insertInto('item')
      .values([item(1), item(2), item(3)])
      .execute(),
  )
  const seen: number[] = []
  for await (const { id } of db.query.selectFrom('item').selectAll().orderBy('id').stream()) {
    seen.push(id)
    await db.query.selectFrom('item').selectAll().orderBy('id').execute()
  }
  assert.deepEqual(seen, [1, 2, 3])
})

test('an integer that a number cannot hold is refused, not rounded', async (t) => {
  const db = await temporaryDatabase<Tables>(t, migrations)
  await assert.rejects(sql`select 9007199254740993 as n`.execute(db.query), RangeError)
})

test('a violated constraint says which kind', async (t) => {
  const db = await temporaryDatabase<Tables>(t, migrations)
  const violation = (values: { id: number; name: string | null }) =>
    db
      .transaction(async ({ query }) => {
        await sql`insert into item (id, name) values (1, 'n1'), (${values.id}, ${values.name})`.execute(query)
      })
      .catch((error: unknown) => (error instanceof ConstraintViolated ? error.constraint : error))
  assert.equal(await violation({ id: 1, name: 'other' }), 'unique')
  assert.equal(await violation({ id: 2, name: 'n1' }), 'unique')
  assert.equal(await violation({ id: 2, name: null }), 'notNull')
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

test('migrations run once, in order, whoever comes first', async (t) => {
  const path = temporaryFile(t)
  const [one, two] = [openSqlite<Tables>(path), openSqlite<Tables>(path)]
  t.after(() => Promise.all([one.close(), two.close()]))
  const more: Migration[] = [
    ...migrations,
    { name: '0002-row', sqlite: "insert into item (id, name) values (1, 'from a migration')" },
    { name: '0003-work', sqlite: (transaction) => transaction.exec("update item set name = 'worked over'") },
  ]
  const taken = await Promise.all([migrate(one, more), migrate(two, more)])
  assert.deepEqual(taken.flat().sort(), ['0001-item', '0002-row', '0003-work'])
  assert.deepEqual(await migrate(two, more), [])
  assert.deepEqual(await one.query.selectFrom('item').select('name').execute(), [{ name: 'worked over' }])
})

test('a failed migration leaves the schema where it was', async (t) => {
  const db = await temporaryDatabase<Tables>(t, migrations)
  const broken = [...migrations, { name: '0002', sqlite: 'create table other (id integer) strict; this is not sql' }]
  await assert.rejects(migrate(db, broken))
  assert.deepEqual((await db.query.introspection.getTables()).map(({ name }) => name).sort(), [
    'item',
    'schema_version',
  ])
})

test('a database of a newer program, or of another one, is refused', async (t) => {
  const db = await temporaryDatabase<Tables>(t, migrations)
  await assert.rejects(migrate(db, []), SchemaMismatch)
  await assert.rejects(migrate(db, [{ name: '0001-other', sqlite: '' }]), SchemaMismatch)
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
  const library = new URL('./index.ts', import.meta.url).href
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
