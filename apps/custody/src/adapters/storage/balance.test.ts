/** What damages the books shows in their balance: rows that are lost, and rows that are there twice. */
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'

import type { BooksBalance } from '@postbus/contracts'
import { migrate, openSqlite, temporaryFile } from '@postbus/sql'

import {
  acceptedMessage,
  finalOf,
  keyOf,
  local,
  queueIdOf,
  remote,
  routedOf,
  statusOf,
  time,
} from '../../../test/samples.ts'
import { balanceOf, isBalanced } from '../../balance/balance.ts'
import { migrations } from './migrations.ts'
import { sqlBooks } from './sql-books.ts'
import type { Tables } from './tables.ts'

const times = { overdueMs: 0, gatherMs: 0, delayMs: 0, historyKept: 2, now: () => Date.parse(time(40)) }
const [whole, list, waiting] = [queueIdOf(1), queueIdOf(2), queueIdOf(3)]

/** A message with one recipient that arrived, one with a list and a copy, one that is not routed. */
async function someBooks(t: TestContext) {
  const db = openSqlite<Tables>(temporaryFile(t))
  t.after(() => db.close())
  await migrate(db, migrations)
  const books = sqlBooks(db, times)
  const writer = await books.lead(1)
  const toList = acceptedMessage(list, ['team@example.org', 'ann@example.org'])
  const copy = finalOf('copy', { kind: 'merged', into: keyOf('ann') })
  await writer.record([
    routedOf(acceptedMessage(whole, ['jones@example.org']), [finalOf('jones', local)]),
    statusOf(whole, 'jones', 'delivered'),
    routedOf(toList, [finalOf('ann', remote), finalOf('bob', remote)]),
    routedOf(toList, [copy], { original: 1 }),
  ])
  await writer.adopt([acceptedMessage(waiting, ['jones@example.org'])])
  assert.ok(isBalanced(balanceOf(await books.counts({ failures: true }))))
  return { db, books, writer }
}

const damages: [what: string, sql: string, differences: BooksBalance['differences']][] = [
  [
    'a lost recipient that had ended',
    `delete from recipient where queue_id = '${whole}'`,
    { originals: 0, recipients: 1, merged: 0 },
  ],
  [
    'a lost open recipient',
    `delete from recipient where n = '${keyOf('bob')}'`,
    { originals: 0, recipients: 1, merged: 0 },
  ],
  ['a lost copy', `delete from recipient where n = '${keyOf('copy')}'`, { originals: 0, recipients: 0, merged: 1 }],
  [
    'a recipient that is there twice',
    `insert into recipient (queue_id, n, original, listing, state, open)
       select queue_id, '${keyOf('twice')}', original, listing, state, open from recipient where queue_id = '${whole}'`,
    { originals: 0, recipients: -1, merged: 0 },
  ],
  ['a lost original', `delete from original where queue_id = '${whole}'`, { originals: 1, recipients: 0, merged: 0 }],
  [
    'an original that is there twice',
    `insert into original (queue_id, original, routed, named) select queue_id, 7, routed, named from original where queue_id = '${whole}'`,
    { originals: -1, recipients: 0, merged: 0 },
  ],
  ['a lost message', `delete from message where queue_id = '${whole}'`, { originals: -1, recipients: -1, merged: 0 }],
  [
    'a message that is lost whole but for its recipient',
    `delete from message where queue_id = '${whole}'; delete from original where queue_id = '${whole}'`,
    { originals: 0, recipients: -1, merged: 0 },
  ],
]

for (const [what, statement, differences] of damages) {
  test(`${what} shows in the balance`, async (t) => {
    const { db, books } = await someBooks(t)
    await db.transaction((transaction) => transaction.exec(statement))
    assert.deepEqual(balanceOf(await books.counts({ failures: true })).differences, differences)
  })
}

test('a recipient that was lost still shows when its routed and its status come once more', async (t) => {
  const { db, books, writer } = await someBooks(t)
  await db.transaction((transaction) => transaction.exec(`delete from recipient where n = '${keyOf('bob')}'`))
  const again = acceptedMessage(list, ['team@example.org', 'ann@example.org'])
  await writer.record([
    routedOf(again, [finalOf('ann', remote), finalOf('bob', remote)]),
    statusOf(list, 'bob', 'relayed'),
  ])
  assert.deepEqual(balanceOf(await books.counts({ failures: true })).differences, {
    originals: 0,
    recipients: 1,
    merged: 0,
  })
})

test('the counts of a version that did not know them are made from its rows', async (t) => {
  const file = temporaryFile(t)
  const earlier = openSqlite<Tables>(file)
  t.after(() => earlier.close())
  await migrate(earlier, migrations.slice(0, 4))
  const of = `'${list}'`
  await earlier.transaction((transaction) =>
    transaction.exec(`
      insert into message (queue_id, phase, incarnation, originals, seen_at, merges) values (${of}, 0, 0, 2, 0, 1);
      insert into original (queue_id, original, routed) values (${of}, 0, 1), (${of}, 1, 1);
      insert into recipient (queue_id, n, original, listing, state, open, merged_into) values
        (${of}, 'a', 0, '{}', 'routed', 1, null), (${of}, 'b', 0, '{}', 'delivered', 0, null),
        (${of}, 'c', 1, '{}', 'routed', 0, 'a'), (${of}, 'd', null, null, 'delivered', 0, null);
    `),
  )
  const db = openSqlite<Tables>(file)
  t.after(() => db.close())
  await migrate(db, migrations)
  const balance = balanceOf(await sqlBooks(db, times).counts({ failures: true }))
  assert.ok(isBalanced(balance))
  assert.deepEqual([balance.accepted, balance.added, balance.merged], [2, 1, 1])
})
