import assert from 'node:assert/strict'
import { test } from 'node:test'

import { LastFailure } from './last-failure.ts'
import { keepProbing } from './probe.ts'

test('what was found at the last look holds until the next, and begins as unknown', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const looks: PromiseWithResolvers<void>[] = []
  const look = (): Promise<void> => {
    const deferred = Promise.withResolvers<void>()
    looks.push(deferred)
    return deferred.promise
  }
  const probe = keepProbing('database', look, { everyMs: 1000, signal: new AbortController().signal })
  t.after(() => probe.stop())
  const settled = () => new Promise((resolve) => setImmediate(resolve))
  assert.equal(probe.reason, 'database: not looked at yet')
  looks[0]?.resolve()
  await settled()
  assert.equal(probe.reason, null)
  t.mock.timers.tick(1000)
  looks[1]?.reject(new Error('disk I/O error'))
  await settled()
  assert.equal(probe.reason, 'database: disk I/O error')
  // Soon: what was away is often back at once.
  t.mock.timers.tick(250)
  looks[2]?.resolve()
  await settled()
  assert.equal(probe.reason, null)
})

test('a failure is a reason until it works again, or was not tried for a minute', () => {
  let now = 0
  const failure = new LastFailure('ledger', { now: () => now })
  assert.equal(failure.reason(), null)
  failure.failed(new Error('disk full'))
  assert.equal(failure.reason(), 'ledger: disk full')
  failure.worked()
  assert.equal(failure.reason(), null)
  failure.failed('no space')
  now = 60_001
  assert.equal(failure.reason(), null)
})
