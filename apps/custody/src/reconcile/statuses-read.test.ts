import assert from 'node:assert/strict'
import { test } from 'node:test'

import { statusesRead } from './statuses-read.ts'

const createdAt = '2026-01-05T10:00:00Z'

/** The stream as it is at each question; the last one stays. */
function stream(...states: { read: number; last: number; createdAt?: string }[]) {
  let asked = 0
  const stateOf = async () => {
    const state = states[Math.min(asked++, states.length - 1)]
    if (state === undefined) throw new Error('no state')
    return { createdAt: state.createdAt ?? createdAt, lastSequence: state.last, readTo: state.read }
  }
  return { stateOf, asked: () => asked }
}

test('an empty stream is read', async () => {
  assert.equal(await statusesRead(stream({ read: 0, last: 0 }).stateOf, 0)(), true)
  assert.equal(await statusesRead(stream({ read: 7, last: 7 }).stateOf, 0)(), true)
})

test('it is read once what it held is gone, whatever came since', async () => {
  const { stateOf } = stream({ read: 4, last: 7 }, { read: 6, last: 90 }, { read: 7, last: 200 })
  assert.equal(await statusesRead(stateOf, 60_000)(), true)
})

test('one that is not read in time is not read', async () => {
  assert.equal(await statusesRead(stream({ read: 6, last: 7 }).stateOf, 0)(), false)
})

test('one that was made anew meanwhile says nothing of what the old one held', async () => {
  const { stateOf } = stream({ read: 6, last: 7 }, { read: 8, last: 8, createdAt: '2026-01-05T11:00:00Z' })
  assert.equal(await statusesRead(stateOf, 60_000)(), false)
})

test('who asks while an answer is sought gets the next one, together with others', async () => {
  const { stateOf, asked } = stream({ read: 0, last: 0 })
  const read = statusesRead(stateOf, 0)
  assert.deepEqual(await Promise.all([read(), read(), read()]), [true, true, true])
  assert.equal(asked(), 1)
})
