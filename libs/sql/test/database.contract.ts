/** What every dialect promises: run by the test of each. */
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'

import { sql } from 'kysely'

import {
  ConstraintViolated,
  type Database,
  type Migration,
  migrate,
  type DatabaseOptions,
  openDatabase,
  type Param,
  SchemaMismatch,
  StorageFailed,
} from '../src/index.ts'

export type Tables = { item: { id: number; name: string; bytes: Uint8Array | null } }

export const migrations: Migration[] = [
  {
    name: '0001-item',
    sqlite: 'create table item (id integer primary key, name text not null unique, bytes blob) strict',
    postgres: 'create table item (id bigint primary key, name text collate "C" not null unique, bytes bytea)',
  },
]

/** The same in both. */
const step = (name: string, work: Migration['sqlite']): Migration => ({ name, sqlite: work, postgres: work })

export const item = (id: number, name = `n${id}`) => ({ id, name, bytes: null })

/** @param locate says where an empty database is that goes with the test */
export function databaseContract(
  dialect: string,
  locate: (t: TestContext) => Promise<string>,
  options: Partial<DatabaseOptions> = {},
): void {
  const openAt = <DB>(t: TestContext, location: string): Database<DB> => {
    const db = openDatabase<DB>(location, { schema: 'things', ...options })
    t.after(() => db.close())
    return db
  }
  const migrated = async (t: TestContext): Promise<Database<Tables>> => {
    const db = openAt<Tables>(t, await locate(t))
    await migrate(db, migrations)
    return db
  }
  const guarantee = (name: string, run: (t: TestContext) => Promise<void>): void =>
    void test(`${dialect}: ${name}`, run)

  guarantee('what a transaction wrote is there when it resolves, as ordinary objects', async (t) => {
    const db = await migrated(t)
    const bytes = new Uint8Array([0, 1, 255])
    const inserted = await db.transaction(({ query }) =>
      query.insertInto('item').values({ id: 7, name: 'seven', bytes }).returning('id').executeTakeFirstOrThrow(),
    )
    assert.deepEqual(inserted, { id: 7 })
    assert.deepEqual(await db.query.selectFrom('item').selectAll().execute(), [{ id: 7, name: 'seven', bytes }])
    const result = await db.transaction(({ query }) => query.updateTable('item').set({ name: 'x' }).executeTakeFirst())
    assert.equal(result.numUpdatedRows, 1n)
  })

  guarantee(
    'a snapshot reads one moment while others write, and takes nothing from the next one when it fails',
    async (t) => {
      const db = await migrated(t)
      const add = (id: number) => db.transaction(({ query }) => query.insertInto('item').values(item(id)).execute())
      const ids = db.prepare<{ above: number }, { id: number }>((query, param) =>
        query.selectFrom('item').select('id').where('id', '>', param('above')),
      )
      await add(1)
      const seen = await db.snapshot(async (reader) => {
        assert.equal(reader.dialect, db.dialect)
        const first = await reader.all(ids, { above: 0 })
        await add(2)
        const streamed = await Array.fromAsync(reader.query.selectFrom('item').select('id').stream())
        return [first, await reader.all(ids, { above: 0 }), streamed]
      })
      assert.deepEqual(seen, [[{ id: 1 }], [{ id: 1 }], [{ id: 1 }]])
      const nonsense = db.snapshot(({ query }) => sql`select nonsense`.execute(query))
      const both = [nonsense, db.snapshot((reader) => reader.all(ids, { above: 1 }))] as const
      await assert.rejects(both[0])
      assert.deepEqual(await both[1], [{ id: 2 }])
    },
  )

  guarantee('a transaction that throws leaves nothing behind', async (t) => {
    const db = await migrated(t)
    const failure = new Error('changed my mind')
    const attempt = db.transaction(async ({ query }) => {
      await query.insertInto('item').values(item(1)).execute()
      throw failure
    })
    await assert.rejects(attempt, failure)
    assert.deepEqual(await db.query.selectFrom('item').selectAll().execute(), [])
  })

  guarantee('transactions neither overlap nor let a reader see half of one', async (t) => {
    const location = await locate(t)
    const [one, two] = [openAt<Tables>(t, location), openAt<Tables>(t, location)]
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
    await begun.promise
    const others = [two, one].map((db, index) =>
      db.transaction(async ({ query }) => {
        const { n } = await query
          .selectFrom('item')
          .select(({ fn }) => fn.countAll<number>().as('n'))
          .executeTakeFirstOrThrow()
        order.push(`other ${index} sees ${n}`)
      }),
    )
    assert.deepEqual(await one.query.selectFrom('item').selectAll().execute(), [], 'not committed yet')
    gate.resolve()
    await Promise.all([first, ...others])
    // Among those who waited no order is promised.
    assert.deepEqual(order.slice(0, 2), ['first begins', 'first ends'])
    assert.deepEqual(order.slice(2).toSorted(), ['other 0 sees 2', 'other 1 sees 2'])
  })

  guarantee('a transaction inside a transaction is refused instead of waiting for itself', async (t) => {
    const db = await migrated(t)
    await assert.rejects(
      db.transaction(() => db.transaction(async () => {})),
      /inside a transaction/,
    )
    const over = Promise.withResolvers<void>()
    let afterwards: Promise<void> | undefined
    await db.transaction(async () => {
      afterwards = over.promise.then(() => db.transaction(async () => {}))
    })
    over.resolve()
    await afterwards
  })

  guarantee('nobody writes through a transaction that is over, or past its failure', async (t) => {
    const db = await migrated(t)
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

  guarantee('what fails inside a savepoint leaves the rest of the transaction whole', async (t) => {
    const db = await migrated(t)
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

  guarantee('reading outside a transaction cannot write', async (t) => {
    const db = await migrated(t)
    await assert.rejects(db.query.insertInto('item').values(item(1)).execute(), StorageFailed)
    await assert.rejects(
      db.query.transaction().execute(async () => {}),
      /Database.transaction/,
    )
  })

  guarantee('a prepared statement binds what each run gives', async (t) => {
    const db = await migrated(t)
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

  guarantee('rows can be streamed while others read the same table', async (t) => {
    const db = await migrated(t)
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

  guarantee('a transaction can stream rows and write meanwhile', async (t) => {
    const db = await migrated(t)
    const names = await db.transaction(async ({ query }) => {
      for (let id = 1; id <= 500; id++) await query.insertInto('item').values(item(id)).execute()
      const seen: string[] = []
      for await (const { id, name } of query.selectFrom('item').selectAll().where('id', '<=', 500).stream()) {
        seen.push(name)
        await query
          .insertInto('item')
          .values(item(id + 1000))
          .execute()
      }
      for await (const { name } of query.selectFrom('item').selectAll().orderBy('id').stream()) {
        seen.push(name)
        break
      }
      return seen
    })
    assert.deepEqual([names.length, names.at(-1)], [501, 'n1'])
    const { n } = await db.query
      .selectFrom('item')
      .select(({ fn }) => [fn.countAll<number>().as('n')])
      .executeTakeFirstOrThrow()
    assert.equal(n, 1000)
  })

  guarantee('text is compared byte by byte', async (t) => {
    const db = await migrated(t)
    const names = ['Zoe', 'a', 'a b', 'a-b', 'ab', '~', 'é']
    await db.transaction(({ query }) =>
      query
        .insertInto('item')
        .values(names.toReversed().map((name, id) => item(id, name)))
        .execute(),
    )
    const rows = await db.query.selectFrom('item').select('name').orderBy('name').execute()
    assert.deepEqual(
      rows.map(({ name }) => name),
      names,
    )
    const after = await db.query.selectFrom('item').select('name').where('name', '>', 'a-').orderBy('name').execute()
    assert.equal(after[0]?.name, 'a-b')
  })

  guarantee('counts, sums and truth are numbers', async (t) => {
    const db = await migrated(t)
    await db.transaction(({ query }) =>
      query
        .insertInto('item')
        .values([item(1), item(2 ** 52)])
        .execute(),
    )
    const { rows } = await sql`select count(*) as n, sum(id) as sum, max(id) = 1 as is_one from item`.execute(db.query)
    assert.deepEqual(rows, [{ n: 2, sum: 2 ** 52 + 1, is_one: 0 }])
  })

  guarantee('transactions that name the same lock take turns, in all processes', async (t) => {
    const location = await locate(t)
    const databases = [openAt<Tables>(t, location), openAt<Tables>(t, location)]
    for (const db of databases) await migrate(db, migrations)
    await databases[0]?.transaction(({ query }) => query.insertInto('item').values(item(1, '0')).execute())
    const raise = (db: Database<Tables>, locks: string[]) =>
      db.transaction(
        async ({ query }) => {
          const { name } = await query.selectFrom('item').select('name').executeTakeFirstOrThrow()
          await new Promise(setImmediate)
          await query
            .updateTable('item')
            .set({ name: String(Number(name) + 1) })
            .execute()
        },
        { locks },
      )
    const orders = [['counter'], ['counter', 'other'], ['other', 'counter'], ['counter', 'counter']]
    await Promise.all(databases.flatMap((db) => [...orders, ...orders, ...orders].map((locks) => raise(db, locks))))
    const row = await databases[0]?.query.selectFrom('item').select('name').executeTakeFirst()
    assert.deepEqual(row, { name: '24' })
  })

  guarantee('an integer that a number cannot hold is refused, not rounded', async (t) => {
    const db = await migrated(t)
    await assert.rejects(sql`select 9007199254740993 as n`.execute(db.query), RangeError)
  })

  guarantee('a violated constraint says which kind', async (t) => {
    const db = await migrated(t)
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

  guarantee('migrations run once, in order, whoever comes first', async (t) => {
    const location = await locate(t)
    const [one, two] = [openAt<Tables>(t, location), openAt<Tables>(t, location)]
    const more: Migration[] = [
      ...migrations,
      step('0002-row', "insert into item (id, name) values (1, 'from a migration')"),
      step('0003-work', (transaction) => transaction.exec("update item set name = 'worked over'")),
    ]
    const taken = await Promise.all([migrate(one, more), migrate(two, more)])
    assert.deepEqual(taken.flat().sort(), ['0001-item', '0002-row', '0003-work'])
    assert.deepEqual(await migrate(two, more), [])
    assert.deepEqual(await one.query.selectFrom('item').select('name').execute(), [{ name: 'worked over' }])
  })

  guarantee('a failed migration leaves the schema where it was', async (t) => {
    const db = await migrated(t)
    const broken = [...migrations, step('0002', 'create table other (id integer); this is not sql')]
    await assert.rejects(migrate(db, broken))
    assert.deepEqual((await db.query.introspection.getTables()).map(({ name }) => name).sort(), [
      'item',
      'schema_version',
    ])
  })

  guarantee('a database of a newer program, or of another one, is refused', async (t) => {
    const db = await migrated(t)
    await assert.rejects(migrate(db, []), SchemaMismatch)
    await assert.rejects(migrate(db, [step('0001-other', '')]), SchemaMismatch)
  })
}
