import assert from 'node:assert/strict'
import { test } from 'node:test'

import { queueIds } from './queue-id.ts'

test('ids ascend, also within a millisecond and when the clock steps back', () => {
  const times = [1000, 1000, 1000, 2000, 1500, 1500]
  const next = queueIds(() => times.shift() ?? 3000)
  const ids = Array.from({ length: 6 }, next)
  assert.deepEqual(ids, ids.toSorted())
  assert.equal(new Set(ids).size, 6)
})

test('the first ten characters are the time', () => {
  assert.match(queueIds(() => 0)(), /^0000000000/)
  assert.match(queueIds(() => 2 ** 48 - 1)(), /^7ZZZZZZZZZ/)
})
