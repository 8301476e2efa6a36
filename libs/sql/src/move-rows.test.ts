import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'

import { startPostgres } from '@postbus/testkit'
import type { Generated } from 'kysely'

import { CannotMove, type Migration, migrate, moveRows, openPostgres, openSqlite, temporaryFile } from './index.ts'

type Tables = {
  owner: { name: string; is_known: number }
  thing: { id: Generated<number>; owner: string; bytes: Uint8Array | null; size: number }
  revision: { value: number }
}

const migrations: Migration[] = [
  {
    name: '0001-things',
    // `thing` comes after what it refers to, whatever their names are.
    sqlite: `
      create table owner (name text primary key, is_known integer not null) strict, without rowid;
      create table thing (id integer primary key autoincrement, owner text not null references owner (name), bytes blob, size integer not null) strict;
      create table revision (value integer not null) strict;
      insert into revision values (1);
      create virtual table texts using fts5 (text);`,
    postgres: `
      create table owner (name text collate "C" primary key, is_known boolean not null);
      create table thing (id bigint generated always as identity primary key, owner text collate "C" not null references owner (name), bytes bytea, size bigint not null);
      create table revision (value bigint not null);
      insert into revision values (1);
      create table only_here (note text not null);
      insert into only_here values ('stays');`,
  },
]

async function both(t: TestContext, steps = migrations) {
  const from = openSqlite<Tables>(temporaryFile(t))
  const to = openPostgres<Tables & { only_here: { note: string } }>((await startPostgres(t)).url, { schema: 'things' })
  t.after(async () => void (await Promise.all([from.close(), to.close()])))
  await migrate(from, migrations)
  await migrate(to, steps)
  await from.transaction(async ({ query }) => {
    await query.insertInto('owner').values({ name: 'smith', is_known: 1 }).execute()
    for (let id = 1; id <= 1203; id++) {
      const bytes = id % 2 === 0 ? null : new Uint8Array([0, id % 256])
      await query
        .insertInto('thing')
        .values({ id, owner: 'smith', bytes, size: 2 ** 53 - 1 })
        .execute()
    }
    await query.deleteFrom('thing').where('id', '>', 1200).execute()
    await query.updateTable('revision').set({ value: 7 }).execute()
  })
  return { from, to }
}

test('every row arrives as it was, and numbers once given are not given again', async (t) => {
  const { from, to } = await both(t)
  assert.deepEqual(await moveRows(from, to, ['thing']), [
    { table: 'owner', rows: 1 },
    { table: 'revision', rows: 1 },
    { table: 'thing', rows: 1200 },
  ])
  for (const table of ['owner', 'thing', 'revision'] as const) {
    const [one, other] = await Promise.all([from, to].map(({ query }) => query.selectFrom(table).selectAll().execute()))
    assert.deepEqual(other, one)
  }
  assert.deepEqual(await to.query.selectFrom('only_here').selectAll().execute(), [{ note: 'stays' }])
  const { id } = await to.transaction(({ query }) =>
    query
      .insertInto('thing')
      .values({ owner: 'smith', bytes: null, size: 0 })
      .returning('id')
      .executeTakeFirstOrThrow(),
  )
  assert.equal(id, 1204)
})

test('nothing is moved onto what somebody uses, nor between different steps', async (t) => {
  const { from, to } = await both(t)
  await moveRows(from, to, ['thing'])
  await assert.rejects(moveRows(from, to, ['thing']), CannotMove)
  assert.equal((await to.query.selectFrom('thing').selectAll().execute()).length, 1200)

  const step = 'create table later (id integer primary key)'
  const newer = await both(t, [...migrations, { name: '0002-later', sqlite: step, postgres: step }])
  await assert.rejects(moveRows(newer.from, newer.to, ['thing']), CannotMove)
})
