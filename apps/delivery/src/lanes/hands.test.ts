import assert from 'node:assert/strict'
import { test } from 'node:test'

import { Hands } from './hands.ts'

test('a lane is crowded while its hands are nearly full, and no other lane is', async () => {
  const hands = new Hands(10)
  const gate = Promise.withResolvers<void>()
  const handler = hands.counted('07', async (fails: boolean) => {
    await gate.promise
    if (fails) throw new Error('no matter')
  })
  const working = Array.from({ length: 7 }, () => handler(false))
  assert.equal(hands.crowded('07'), false)
  working.push(handler(true))
  assert.deepEqual([hands.crowded('07'), hands.crowded('08')], [true, false])
  gate.resolve()
  await Promise.allSettled(working)
  assert.equal(hands.crowded('07'), false)
})
