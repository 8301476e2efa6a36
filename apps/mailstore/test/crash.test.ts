import assert from 'node:assert/strict'
import { test } from 'node:test'

import { startPostgres } from '@postbus/testkit'

import { around, blobsOf } from './harness.ts'
import { deliverAll } from './killed.ts'

const messages = 400

test(
  'killed in the middle of deliveries, every message is in the mailbox exactly once',
  {
    timeout: 400_000,
  },
  async (t) => {
    const platform = await around(t, { ackWaitMs: 2000 })
    await deliverAll(platform, { processes: 1, messages })
    // Every blob that is there belongs to a message, or to a delivery that died and is left for the sweep.
    const blobs = await Array.fromAsync(blobsOf(platform).list('content/'))
    assert.ok(blobs.length >= messages / 10)
  },
)

test('two processes on one database, killed in turn: exactly once all the same', { timeout: 400_000 }, async (t) => {
  await deliverAll(await around(t, { ackWaitMs: 2000 }), { processes: 2, messages })
})

test('two processes on one server of databases, killed in turn: likewise', { timeout: 400_000 }, async (t) => {
  const { url: database } = await startPostgres(t)
  await deliverAll(await around(t, { ackWaitMs: 2000, database }), { processes: 2, messages: 120 })
})
