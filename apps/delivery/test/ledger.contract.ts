/** What every ledger must do, whatever it is kept in. */
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'

import { QueueId, RecipientKey } from '@postbus/contracts'

import type { Ledger, LedgerEntry } from '../src/attempt/ledger.ts'

const key = { queueId: QueueId.parse('01J9ZK3V8Q6X4T2M7N5R1C0B9A'), n: RecipientKey.parse('0123456789abcdef') }
const at = (minute: number): string => new Date(Date.UTC(2026, 0, 5, 10, minute)).toISOString()
const deferred = (attempt: number): LedgerEntry => ({
  ...key,
  attempt,
  incarnation: 0,
  outcome: { kind: 'deferred', at: at(attempt), nextAttemptAt: at(attempt + 5), status: '4.2.0', reason: 'greylisted' },
})
const relayed: LedgerEntry = {
  ...key,
  attempt: 3,
  incarnation: 0,
  outcome: { kind: 'relayed', at: at(3), mxHost: 'mx.example.com', reply: '250 2.0.0 Ok', dsn: false },
}

export function ledgerContract(name: string, open: (t: TestContext) => Promise<Ledger>): void {
  test(`${name}: an entry is found as it was committed, and the next attempt replaces it`, async (t) => {
    const ledger = await open(t)
    assert.equal(await ledger.find(key), null)
    await ledger.commit(deferred(1))
    assert.deepEqual(await ledger.find(key), deferred(1))
    await ledger.commit(deferred(2))
    assert.deepEqual(await ledger.find(key), deferred(2))
  })

  test(`${name}: an ended entry is never replaced by an open one`, async (t) => {
    const ledger = await open(t)
    await ledger.commit(relayed)
    await ledger.commit(deferred(4))
    assert.deepEqual(await ledger.find(key), relayed)
  })

  test(`${name}: what is held or released is open; what is cancelled has ended, but for mail that did arrive`, async (t) => {
    const ledger = await open(t)
    const held = { ...deferred(1), outcome: { kind: 'held', at: at(1), rule: 'r', via: 'smtp:relay.test:25' } } as const
    const released = { ...deferred(1), outcome: { kind: 'released', at: at(2), by: 'ann' } } as const
    const cancelled = { ...deferred(2), outcome: { kind: 'cancelled', at: at(3), by: 'ann' } } as const
    for (const entry of [held, released, cancelled]) {
      await ledger.commit(entry)
      assert.deepEqual(await ledger.find(key), entry)
    }
    await ledger.commit(held)
    assert.deepEqual(await ledger.find(key), cancelled)
    await ledger.commit(relayed)
    assert.deepEqual(await ledger.find(key), relayed)
    await ledger.commit(cancelled)
    assert.deepEqual(await ledger.find(key), relayed)
  })

  test(`${name}: concurrent commits all stand`, async (t) => {
    const ledger = await open(t)
    const keys = Array.from({ length: 500 }, (_, index) => RecipientKey.parse(index.toString(16).padStart(16, '0')))
    await Promise.all(keys.map((n) => ledger.commit({ ...relayed, n })))
    for (const n of keys) assert.equal((await ledger.find({ ...key, n }))?.outcome.kind, 'relayed')
  })

  test(`${name}: only entries older than the bound are pruned, so many at a time`, async (t) => {
    const ledger = await open(t)
    const keys = ['a', 'b', 'c'].map((digit) => RecipientKey.parse(digit.repeat(16)))
    for (const [index, n] of keys.entries()) {
      await ledger.commit({ ...relayed, n, outcome: { ...relayed.outcome, at: at(index) } })
    }
    assert.equal(await ledger.prune(new Date(at(2)), 1), 1)
    assert.equal(await ledger.prune(new Date(at(2)), 10), 1)
    assert.equal(await ledger.prune(new Date(at(2)), 10), 0)
    assert.notEqual(await ledger.find({ ...key, n: keys[2] ?? key.n }), null)
  })
}
