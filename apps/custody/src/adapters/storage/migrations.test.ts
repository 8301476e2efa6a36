import assert from 'node:assert/strict'
import { test } from 'node:test'

import { entryOf } from '@postbus/contracts'
import { migrate, openSqlite, temporaryFile } from '@postbus/sql'

import { acceptedMessage, finalOf, keyOf, queueIdOf, remote, routedOf, statusOf, time } from '../../../test/samples.ts'
import { migrations } from './migrations.ts'
import { sqlBooks } from './sql-books.ts'
import type { Tables } from './tables.ts'

/** What a test writes in the books of step 2. */
interface Earlier {
  message: Pick<Tables['message'], 'queue_id' | 'phase' | 'incarnation' | 'originals' | 'entry' | 'seen_at'>
  original: Pick<Tables['original'], 'queue_id' | 'original' | 'recipient' | 'routed'>
  recipient: Pick<Tables['recipient'], 'queue_id' | 'n' | 'original' | 'listing' | 'status' | 'state' | 'open'>
}

test('books of an earlier version list, find and tell what was in them', async (t) => {
  const file = temporaryFile(t)
  const earlier = openSqlite<Earlier>(file)
  t.after(() => earlier.close())
  await migrate(earlier, migrations.slice(0, 2))
  const one = queueIdOf(1)
  const of = { queue_id: one }
  const accepted = { ...acceptedMessage(one, ['ann@far.test', 'also-ann@far.test']), acceptedAt: time(3) }
  const listing = (original: number, name: string, destination: Parameters<typeof finalOf>[1]) =>
    JSON.stringify({ original, incarnation: 0, at: time(4), final: finalOf(name, destination) })
  await earlier.transaction(async ({ query }) => {
    const entry = JSON.stringify(entryOf(accepted))
    await query
      .insertInto('message')
      .values({ ...of, phase: 0, incarnation: 0, originals: 2, entry, seen_at: 0 })
      .execute()
    for (const [original, recipient] of accepted.envelope.recipients.entries()) {
      const row = { ...of, original, recipient: JSON.stringify(recipient), routed: 1 }
      await query.insertInto('original').values(row).execute()
    }
    const status = JSON.stringify(statusOf(one, 'ann', 'deferred', { attempt: 1, nextAttemptAt: time(30) }))
    const ann = { n: keyOf('ann'), original: 0, listing: listing(0, 'ann', remote), status }
    const merged = { kind: 'merged' as const, into: keyOf('ann') }
    const also = { n: keyOf('also'), original: 1, listing: listing(1, 'also', merged), status: null }
    await query
      .insertInto('recipient')
      .values([
        { ...of, ...ann, state: 'deferred', open: 1 },
        { ...of, ...also, state: 'routed', open: 0 },
      ])
      .execute()
  })
  const db = openSqlite<Tables>(file)
  t.after(() => db.close())
  await migrate(db, migrations)

  const times = { overdueMs: 0, gatherMs: 0, delayMs: 0, historyKept: 2, now: () => Date.parse(time(40)) }
  const books = sqlBooks(db, times)
  const [mark, ...others] = await books.queueMarks({}, null, 10)
  assert.deepEqual(mark, {
    ...{ site: 'far.test', acceptedAt: Date.parse(time(3)), queueId: one, n: keyOf('ann') },
    ...{ state: 'deferred', nextAttemptAt: Date.parse(time(30)) },
  })
  assert.deepEqual(others, [])
  for (const wanted of [
    { messageId: '<a@example.org>' },
    { sender: 'smith@example.org' },
    { recipient: 'ann@far.test' },
  ]) {
    assert.equal((await books.findMessages(wanted, 10))[0]?.entry.queueId, one, JSON.stringify(wanted))
  }
  const writer = await books.lead(1)
  await writer.record([statusOf(one, 'ann', 'failed', { attempt: 2 })])
  assert.deepEqual(await books.queueMarks({}, null, 10), [])
  const due: (string | undefined)[] = []
  await writer.planReports(new Date(time(50)), 10, ({ recipients }) => {
    due.push(...recipients.map(({ tracked }) => tracked.listing?.final.forwardPath))
    return []
  })
  assert.deepEqual(new Set(due), new Set(['ann@example.org', 'also@example.org']))
})

test('a message whose facts come late is looked up like any other', async (t) => {
  const db = openSqlite<Tables>(temporaryFile(t))
  t.after(() => db.close())
  await migrate(db, migrations)
  const times = { overdueMs: 0, gatherMs: 0, delayMs: 0, historyKept: 2, now: () => Date.parse(time(40)) }
  const books = sqlBooks(db, times)
  const writer = await books.lead(1)
  const one = queueIdOf(1)
  const accepted = acceptedMessage(one, ['ann@far.test', 'bob@far.test'])
  // Page 2 alone names neither the recipient nor the message.
  await writer.record([routedOf(accepted, [finalOf('bob', remote)], { original: 1, page: 2, pages: 2 })])
  await writer.record([routedOf(accepted, [finalOf('b2', remote)], { original: 1, page: 1, pages: 2 })])
  await writer.record([routedOf(accepted, [finalOf('ann', remote)], { original: 0 })])
  for (const wanted of [
    { messageId: '<a@example.org>' },
    { recipient: 'ann@far.test' },
    { recipient: 'bob@far.test' },
  ]) {
    assert.equal((await books.findMessages(wanted, 10)).length, 1, JSON.stringify(wanted))
  }
  assert.equal((await books.queueEntries({}, null, 10)).length, 3)
})
