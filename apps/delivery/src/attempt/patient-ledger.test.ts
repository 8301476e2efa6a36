import assert from 'node:assert/strict'
import { test } from 'node:test'

import { QueueId, RecipientKey } from '@postbus/contracts'

import { type LedgerEntry, LedgerUnavailable } from './ledger.ts'
import { patientLedger } from './patient-ledger.ts'

const entry: LedgerEntry = {
  queueId: QueueId.parse('01J9ZK3V8Q6X4T2M7N5R1C0B9A'),
  n: RecipientKey.parse('0123456789abcdef'),
  attempt: 1,
  incarnation: 0,
  outcome: { kind: 'relayed', at: '2026-01-05T10:00:00.000Z', mxHost: 'mx.far.test', reply: '250 ok', dsn: true },
}

/** A ledger on a disk that is full, or fails, as long as it is told to. */
function world() {
  let failure: Error | null = null
  let closed = false
  const committed: LedgerEntry[] = []
  const pauses: number[] = []
  const told: string[] = []
  const ledger = patientLedger(
    {
      find: async () => committed.at(-1) ?? null,
      async commit(one) {
        if (failure) throw failure
        committed.push(one)
      },
      prune: async () => 0,
      async close() {
        closed = true
      },
    },
    {
      async sleep(ms) {
        pauses.push(ms)
        await new Promise(setImmediate)
      },
      waiting: ({ message }) => void told.push(message),
      recovered: () => void told.push('recovered'),
    },
  )
  return {
    ...{ ledger, committed, pauses, told },
    isClosed: () => closed,
    fail: (error: Error | null) => {
      failure = error
    },
  }
}

const turns = async (count: number): Promise<void> => {
  for (let turn = 0; turn < count; turn++) await new Promise(setImmediate)
}

test('an outcome that the disk has no room for is committed when it has, and nothing is attempted until then', async () => {
  const { ledger, committed, pauses, told, fail } = world()
  ledger.check()
  fail(new LedgerUnavailable('full'))
  const committing = ledger.commit(entry)
  await turns(20)
  assert.throws(() => ledger.check(), LedgerUnavailable)
  assert.deepEqual([committed.length, pauses[0], Math.max(...pauses)], [0, 100, 5000])
  fail(null)
  await committing
  ledger.check()
  assert.deepEqual(committed, [entry])
  assert.deepEqual(told, ['full', 'recovered'])
})

test('what is wrong with an entry is told at once', async () => {
  const { ledger, fail } = world()
  fail(new TypeError('no such column'))
  await assert.rejects(ledger.commit(entry), TypeError)
  ledger.check()
})

test('a stop does not wait for the disk', async () => {
  const { ledger, fail, isClosed } = world()
  fail(new LedgerUnavailable('full'))
  const committing = ledger.commit(entry)
  await turns(3)
  await ledger.close()
  await assert.rejects(committing, LedgerUnavailable)
  assert.ok(isClosed())
})
