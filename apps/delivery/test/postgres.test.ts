/** Replicas of delivery with one ledger in PostgreSQL. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { openDatabase } from '@postbus/sql'
import { startPostgres } from '@postbus/testkit'

import { sqlLedger, type Tables } from '../src/adapters/ledger/sql-ledger.ts'
import { platform, queueId } from './platform.ts'

test('what peers answered while PostgreSQL was gone is noted when it is back, and nobody is sent to twice', async (t) => {
  const postgres = await startPostgres(t)
  const { delivery, send, sink, statuses, until } = await platform(t)
  const settings = { DELIVERY_DATABASE: postgres.url, DATABASE_BUSY_TIMEOUT_MS: '1000' }
  const replicas = [await delivery(settings), await delivery(settings)]
  const relayed = () => statuses.filter(({ kind }) => kind === 'relayed').length
  const to = (names: string[]) =>
    names.flatMap((name) => [`${name}@one.test`, `${name}@two.test`, `${name}@three.test`])

  await send(queueId(1), to(['ann']))
  await until(() => relayed() === 3)
  await postgres.stop()
  const sent = send(queueId(2), to(['bob', 'cid']))
  await sent
  await postgres.start()
  await until(() => relayed() === 9)
  const arrived = sink.messages.flatMap(({ recipients }) => recipients.map(({ forwardPath }) => forwardPath))
  assert.deepEqual(arrived.toSorted(), [...to(['ann']), ...to(['bob', 'cid'])].toSorted())
  for (const replica of replicas) await replica.stop()

  const ledger = await sqlLedger(openDatabase<Tables>(postgres.url, { schema: 'delivery' }))
  t.after(() => ledger.close())
  for (const { queueId: id, n } of statuses) {
    const entry = await ledger.find({ queueId: id, n })
    assert.equal(entry?.outcome.kind, 'relayed')
  }
})
