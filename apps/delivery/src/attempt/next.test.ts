import assert from 'node:assert/strict'
import { test } from 'node:test'

import { taskTo } from '../../test/samples.ts'
import type { LedgerEntry } from './ledger.ts'
import { nextTask } from './next.ts'
import { outcomeOf } from './settle.ts'

const schedule = { firstMs: 1000, longestMs: 1_000_000, jitter: 0, soonMs: 500, soonAttempts: 4 }
const now = new Date('2026-01-05T12:00:00.000Z')
const at = now.toISOString()

test('what operators decide is no try: the pause after a failure grows with tries alone', () => {
  let task = taskTo('ann@far.test')
  const entry = (outcome: LedgerEntry['outcome'], attempt = task.attempt): LedgerEntry => ({
    ...{ queueId: task.queueId, n: task.n, attempt, incarnation: 0, outcome },
  })
  const fails = (): number => {
    const result = { kind: 'deferred', status: '4.2.0', reason: 'later' } as const
    const times = { now, random: 0.5, expiresAt: new Date('2027-01-01') }
    const outcome = outcomeOf(task, result, times, schedule)
    assert.ok(outcome.kind === 'deferred')
    task = nextTask(task, entry(outcome))
    return Date.parse(outcome.nextAttemptAt) - now.getTime()
  }
  assert.deepEqual([fails(), fails()], [1000, 2000])
  for (let act = 0; act < 3; act++) task = nextTask(task, entry({ kind: 'released', at, by: 'ann' }))
  assert.deepEqual([task.attempt, task.tries], [6, 2])
  assert.deepEqual([fails(), fails()], [4000, 8000])
  // Said again from a copy of long ago, the numbers are those of the entry.
  assert.equal(
    nextTask(taskTo('ann@far.test'), entry({ kind: 'deferred', at, nextAttemptAt: at, status: '4.2.0', reason: '' }, 7))
      .attempt,
    8,
  )
})
