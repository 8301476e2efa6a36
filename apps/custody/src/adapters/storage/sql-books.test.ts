import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'

import { migrate, openDatabase, temporaryFile } from '@postbus/sql'
import { startPostgres } from '@postbus/testkit'

import { booksContract, type OpenBooks } from '../../../test/books.contract.ts'
import { acceptedMessage, finalOf, local, queueIdOf, routedOf, statusOf } from '../../../test/samples.ts'
import { Superseded } from '../../tracking/books.ts'
import { migrations } from './migrations.ts'
import { sqlBooks } from './sql-books.ts'
import type { Tables } from './tables.ts'

const booksAt =
  (locate: (t: TestContext) => Promise<string>): OpenBooks =>
  async (t, options) => {
    const location = await locate(t)
    const again = async () => {
      const db = openDatabase<Tables>(location, { schema: 'custody' })
      t.after(() => db.close())
      await migrate(db, migrations)
      return sqlBooks(db, options)
    }
    return { books: await again(), again }
  }

booksContract(
  'SQLite',
  booksAt(async (t) => temporaryFile(t)),
)
booksContract(
  'PostgreSQL',
  booksAt(async (t) => (await startPostgres(t)).url),
)

test('PostgreSQL: a leader takes over behind the write that is under way, and before any later one', async (t) => {
  const server = await startPostgres(t)
  const open = async () => {
    const db = openDatabase<Tables>(server.url, { schema: 'custody' })
    t.after(() => db.close())
    await migrate(db, migrations)
    return sqlBooks(db, { overdueMs: 0, gatherMs: 0, delayMs: 0, historyKept: 2, now: () => 0 })
  }
  const blocked = async (count: number): Promise<void> => {
    while (Number(await server.administer('select count(*) from pg_locks where not granted')) < count) await nextTurn()
  }
  const [first, second] = [await open(), await open()]
  const one = queueIdOf(1)
  const old = await first.lead(1)
  await old.record([routedOf(acceptedMessage(one, ['jones@example.org']), [finalOf('jones', local)])])

  // Of another schema, so that it takes no turn with those of custody.
  const elsewhere = openDatabase<Record<string, never>>(server.url, { schema: 'elsewhere' })
  t.after(() => elsewhere.close())
  const holding = Promise.withResolvers<void>()
  const gate = Promise.withResolvers<void>()
  const holder = elsewhere.transaction(async (transaction) => {
    await transaction.exec('select from custody.message for update')
    holding.resolve()
    await gate.promise
  })
  await holding.promise
  const underWay = old.record([statusOf(one, 'jones', 'delivered')])
  await blocked(1)
  const leading = second.lead(2)
  await blocked(2)
  gate.resolve()
  await Promise.all([holder, underWay])
  const leader = await leading
  await assert.rejects(old.record([statusOf(one, 'jones', 'delivered')]), Superseded)
  assert.deepEqual((await second.count()).phases, { open: 0, reportDue: 0, settled: 1, buried: 0 })
  assert.deepEqual(await leader.bury(10), [one])
})
