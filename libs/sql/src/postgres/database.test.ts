import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { test, type TestContext } from 'node:test'

import { startPostgres, testCertificate } from '@postbus/testkit'
import { sql } from 'kysely'

import { databaseContract, item, migrations, type Tables } from '../../test/database.contract.ts'
import {
  ConstraintViolated,
  type Database,
  examinePostgres,
  migrate,
  openPostgres,
  type PostgresOptions,
  StorageBusy,
  StorageCorrupt,
  StorageFailed,
  StorageFull,
  whenRestored,
} from '../index.ts'

databaseContract('PostgreSQL', async (t) => (await startPostgres(t)).url)

function openAt<DB = Tables>(t: TestContext, url: string, options: Partial<PostgresOptions> = {}): Database<DB> {
  const db = openPostgres<DB>(url, { schema: 'things', ...options })
  t.after(() => db.close())
  return db
}

async function migrated(t: TestContext, options: Partial<PostgresOptions> = {}) {
  const server = await startPostgres(t)
  const db = openAt(t, server.url, options)
  await migrate(db, migrations)
  return { db, server }
}

const count = async ({ query }: Pick<Database<Tables>, 'query'>): Promise<number> =>
  (
    await query
      .selectFrom('item')
      .select(({ fn }) => fn.countAll<number>().as('n'))
      .executeTakeFirstOrThrow()
  ).n

/** A transaction that is under way until it is told to end. */
function held(db: Database<Tables>, locks?: string[]) {
  const begun = Promise.withResolvers<void>()
  const gate = Promise.withResolvers<void>()
  const done = db.transaction(
    async () => {
      begun.resolve()
      await gate.promise
    },
    locks === undefined ? {} : { locks },
  )
  return { begun: begun.promise, end: () => gate.resolve(), done }
}

test('transactions with different locks run beside each other; the whole database beside none', async (t) => {
  const { db, server } = await migrated(t)
  const other = openAt(t, server.url, { busyTimeoutMs: 1000 })
  const [ann, bob] = [held(db, ['ann']), held(db, ['bob'])]
  await Promise.all([ann.begun, bob.begun])
  await other.transaction(async ({ query }) => void (await query.insertInto('item').values(item(1)).execute()), {
    locks: ['carol'],
  })
  await other.transaction(async () => {}, { locks: [] })
  for (const options of [{ locks: ['carol', 'ann'] }, {}]) {
    await assert.rejects(
      other.transaction(async () => {}, options),
      StorageBusy,
    )
  }
  ann.end()
  bob.end()
  await Promise.all([ann.done, bob.done])
  const whole = held(db)
  await whole.begun
  await assert.rejects(
    other.transaction(async () => {}, { locks: [] }),
    StorageBusy,
  )
  whole.end()
  await whole.done
  await other.transaction(async () => {})
})

test('more transactions than connections all get their turn, and may read beside themselves', async (t) => {
  const { db, server } = await migrated(t, { connections: 4 })
  const work = Array.from({ length: 40 }, (_, id) =>
    db.transaction(
      async ({ query }) => {
        await query.insertInto('item').values(item(id)).execute()
        await count(db)
      },
      { locks: [] },
    ),
  )
  await Promise.all(work)
  assert.equal(await count(db), 40)
  const connected = await server.administer(
    "select count(*) from pg_stat_activity where application_name like 'postbus-%'",
  )
  assert.ok(Number(connected) <= 4, `${connected} connections`)
})

test('what cannot be bound is refused, not guessed at', async (t) => {
  const { db } = await migrated(t)
  for (const value of [undefined, new Date(0), { a: 1 }]) {
    await assert.rejects(sql`select id from item where name = ${value}`.execute(db.query), TypeError)
  }
})

test('a deadlock and a statement that takes too long are StorageBusy, and nothing of them is stored', async (t) => {
  const { db } = await migrated(t, { statementTimeoutMs: 5000 })
  await db.transaction(({ query }) =>
    query
      .insertInto('item')
      .values([item(1), item(2)])
      .execute(),
  )
  const both = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  const crossing = [1, 2].map((id, index) =>
    db.transaction(
      async ({ query }) => {
        const mark = (row: number) =>
          query
            .updateTable('item')
            .set({ name: `${row} of ${id}` })
            .where('id', '=', row)
        await mark(id).execute()
        both[index]?.resolve()
        await Promise.all(both.map(({ promise }) => promise))
        await mark(3 - id).execute()
      },
      { locks: [] },
    ),
  )
  const outcomes = await Promise.allSettled(crossing)
  const failures = outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason] : []))
  assert.equal(failures.length, 1)
  assert.ok(failures[0] instanceof StorageBusy)
  await assert.rejects(
    db.transaction(async ({ query }) => {
      await query.insertInto('item').values(item(3)).execute()
      await sql`select pg_sleep(30)`.execute(query)
    }),
    StorageBusy,
  )
  assert.equal(await count(db), 2)
})

test('what the server says of itself is told apart', async (t) => {
  const { db } = await migrated(t)
  const kinds = [
    ['53100', StorageFull],
    ['53200', StorageBusy],
    ['40001', StorageBusy],
    ['58030', StorageFailed],
    ['XX001', StorageCorrupt],
    ['XX002', StorageCorrupt],
    ['23P01', ConstraintViolated],
  ] as const
  for (const [code, Kind] of kinds) {
    const raise = `do $$ begin raise exception using errcode = '${code}', message = 'as told'; end $$`
    await assert.rejects(
      db.transaction((transaction) => transaction.exec(raise)),
      (error) => error instanceof Kind && error.message.includes('as told'),
    )
  }
})

test('a server that crashes and comes back: nobody dies, what had not begun goes on by itself', async (t) => {
  const told: string[] = []
  const { db, server } = await migrated(t, {
    busyTimeoutMs: 60_000,
    waiting: () => told.push('waiting'),
    recovered: () => told.push('recovered'),
  })
  const insert = (id: number) => db.transaction(({ query }) => query.insertInto('item').values(item(id)).execute())
  await insert(1)
  const interrupted = held(db)
  await interrupted.begun
  await server.stop()
  interrupted.end()
  await assert.rejects(interrupted.done, (error) => error instanceof StorageBusy || error instanceof StorageFailed)
  const impatient = openAt(t, server.url, { busyTimeoutMs: 100 })
  await assert.rejects(count(impatient), StorageBusy)
  await assert.rejects(
    impatient.transaction(async () => {}),
    StorageBusy,
  )
  const waiting = [count(db), insert(2), count(db)]
  await server.start()
  await Promise.all(waiting)
  assert.equal(await count(db), 2)
  assert.equal(told[0], 'waiting')
  assert.equal(told.at(-1), 'recovered')
  // Connections that lie idle when the server says good-bye are exchanged without anybody noticing.
  await server.stop('fast')
  await server.start()
  assert.equal(await count(impatient), 2)
  await insert(3)
})

test('a server that stalls is given up on in time', async (t) => {
  const { db, server } = await migrated(t, { busyTimeoutMs: 2000, connectTimeoutMs: 1500, statementTimeoutMs: 1500 })
  await count(db)
  server.pause()
  await assert.rejects(count(db), StorageBusy)
  server.resume()
  assert.equal(await count(db), 0)
})

test('a connection lost behind a commit leaves open whether it happened; one lost before does not', async (t) => {
  const { db: direct, server } = await migrated(t)
  const proxy = await cuttingProxy(t, Number(new URL(server.url).port))
  const url = new URL(server.url)
  url.port = String(proxy.port)
  const db = openAt(t, url.href)
  const insert = (id: number) => db.transaction(({ query }) => query.insertInto('item').values(item(id)).execute())
  await insert(1)
  proxy.cutAt('insert')
  await assert.rejects(insert(2), StorageBusy)
  // As it stands on the wire: BEGIN has the word too.
  proxy.cutAt('commit\0')
  await assert.rejects(insert(3), StorageFailed)
  await insert(4)
  const rows = await direct.query.selectFrom('item').select('id').where('id', '!=', 3).orderBy('id').execute()
  assert.deepEqual(
    rows.map(({ id }) => id),
    [1, 4],
  )
})

test('whoever is refused by the server is told at once, without the password', async (t) => {
  const { server } = await migrated(t)
  const wrong = new URL(server.url)
  wrong.password = 'mistaken'
  const nowhere = new URL(server.url)
  nowhere.pathname = '/nowhere'
  for (const url of [wrong, nowhere]) {
    await assert.rejects(
      count(openAt(t, url.href)),
      (error) => error instanceof StorageFailed && !error.message.includes('mistaken'),
    )
  }
})

test('TLS: the server is believed when its certificate is, and its name where that is asked for', async (t) => {
  const { server } = await migrated(t)
  const other = await testCertificate(t)
  const at = (mode: string, rootCertificate?: string): string => {
    const url = new URL(server.url)
    url.searchParams.set('sslmode', mode)
    if (rootCertificate !== undefined) url.searchParams.set('sslrootcert', rootCertificate)
    return url.href
  }
  const isEncrypted = async (url: string) => {
    const { query } = openAt(t, url)
    return (await sql`select ssl from pg_stat_ssl where pid = pg_backend_pid()`.execute(query)).rows
  }
  assert.deepEqual(await isEncrypted(at('verify-full', server.caFile)), [{ ssl: 1 }])
  assert.deepEqual(await isEncrypted(at('require')), [{ ssl: 1 }])
  assert.deepEqual(await isEncrypted(at('disable')), [{ ssl: 0 }])
  await assert.rejects(isEncrypted(at('verify-full', other.certFile)), StorageFailed)
  const byAddress = new URL(at('verify-full', server.caFile))
  byAddress.hostname = '127.0.0.1'
  await assert.rejects(isEncrypted(byAddress.href), StorageFailed)
})

test('a table that a newer program changes does not break statements of this one', async (t) => {
  const { db, server } = await migrated(t)
  const all = db.prepare((query) => query.selectFrom('item').selectAll())
  const put = db.prepare((query) => query.insertInto('item').values(item(1)).returningAll())
  await db.all(all, {})
  await db.transaction((transaction) => transaction.all(put, {}))
  await server.administer('alter table things.item add column more text')
  assert.deepEqual(await db.all(all, {}), [{ ...item(1), more: null }])
  await db.transaction(({ query }) => query.deleteFrom('item').execute())
  const again = () => db.transaction((transaction) => transaction.all(put, {}))
  await assert.rejects(again(), StorageBusy)
  assert.equal((await again()).length, 1)
})

test('a migration keeps transactions that name what they need from nothing', async (t) => {
  const { db, server } = await migrated(t)
  const other = openAt(t, server.url, { busyTimeoutMs: 5000 })
  const step = {
    name: '0002-long',
    sqlite: '',
    postgres: async () => {
      await other.transaction(({ query }) => query.insertInto('item').values(item(1)).execute(), { locks: ['ann'] })
    },
  }
  assert.deepEqual(await migrate(db, [...migrations, step]), ['0002-long'])
  assert.equal(await count(db), 1)
})

test('what is to be done after a restore is done once, where the mark is', async (t) => {
  const { server } = await migrated(t)
  const place = { location: server.url, schema: 'things' }
  let times = 0
  const look = () => whenRestored(place, async () => void times++)
  await look()
  assert.equal(times, 0)
  await server.administer('create table things.restored ()')
  await assert.rejects(
    whenRestored(place, () => Promise.reject(new Error('not yet'))),
    /not yet/,
  )
  await server.administer('alter table things.restored owner to ' + new URL(server.url).username)
  await look()
  await look()
  assert.equal(times, 1)
})

test('a server is examined: its version, its tables, whether it keeps what it confirms', async (t) => {
  const { server } = await migrated(t)
  const { version, ...report } = await examinePostgres(server.url, 'things')
  assert.match(version, /^\d+(\.\d+)?$/)
  assert.deepEqual(report, { steps: ['0001-item'], unsafe: ['fsync'], isStandby: false })
  assert.equal((await examinePostgres(server.url, 'others')).steps, null)
})

/** Passes on what it gets, until a client says a word: that still goes to the server, and then the connection is cut. */
async function cuttingProxy(t: TestContext, port: number) {
  let word: string | null = null
  const sockets = new Set<Socket>()
  const server = createServer((client) => {
    const upstream = connect(port, 'localhost')
    sockets.add(client).add(upstream)
    client.on('error', () => {}).on('close', () => upstream.destroy())
    upstream.on('error', () => {}).on('close', () => client.destroy())
    upstream.pipe(client)
    client.on('data', (bytes) => {
      if (word !== null && bytes.includes(word)) {
        word = null
        upstream.unpipe(client)
        // Its answer shows that the server has it.
        upstream.once('data', () => client.destroy()).resume()
      }
      upstream.write(bytes)
    })
  }).listen(0, 'localhost')
  await once(server, 'listening')
  t.after(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  return { port: address.port, cutAt: (next: string) => void (word = next) }
}
