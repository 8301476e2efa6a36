import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { MailOut } from '@postbus/contracts'

import { taskTo, time } from '../../test/samples.ts'
import type { LedgerEntry } from './ledger.ts'
import { suspend } from './suspend.ts'

const trouble = { kind: 'trouble', status: '4.4.1', reason: 'mx.far.test: no connection' } as const
const schedule = { firstMs: 300_000, longestMs: 3_600_000, jitter: 0, soonMs: 180_000, soonAttempts: 4 }

async function suspended(changes: object, until: string, random = 0) {
  const ledger: LedgerEntry[] = []
  const ports = {
    ledger: { commit: async (entry: LedgerEntry) => void ledger.push(entry) },
    expiryOf: ({ expiresAt }: MailOut) => new Date(expiresAt),
    now: () => new Date(time(10)),
    random: () => random,
  }
  const outcomes = await suspend([taskTo('x@far.test', changes)], trouble, new Date(until), ports, schedule)
  assert.deepEqual(
    ledger.map(({ outcome }) => outcome),
    outcomes,
  )
  return outcomes[0]
}

test('a suspended recipient is deferred for the trouble of its site, and in the ledger', async () => {
  assert.deepEqual(await suspended({}, time(11)), {
    kind: 'deferred',
    at: time(10),
    status: '4.4.1',
    reason: 'Delivery suspended: mx.far.test: no connection',
    nextAttemptAt: time(15),
  })
})

test('it is not tried before its site is, and those suspended together do not come back together', async () => {
  const at = async (random: number) => {
    const outcome = await suspended({}, time(30), random)
    return outcome?.kind === 'deferred' && outcome.nextAttemptAt
  }
  assert.equal(await at(0), time(30))
  assert.equal(await at(0.5), time(32))
})

test('it is tried when it expires, and expires then', async () => {
  const last = await suspended({ expiresAt: time(12) }, time(30))
  assert.equal(last?.kind === 'deferred' && last.nextAttemptAt, time(12))
  assert.equal((await suspended({ expiresAt: time(10) }, time(30)))?.kind, 'expired')
})
