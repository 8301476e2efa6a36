import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { Msg } from '@nats-io/transport-node'

import { BrokerClock } from './broker-clock.ts'
import type { Outcome } from './connection.ts'

const HOUR_MS = 3_600_000
const TRUE_TIME = Date.parse('2026-01-05T10:00:00Z')

/** A broker whose clock is right, and ours, `ahead` of it. */
function world() {
  const at = { monotonic: 5_000, ahead: 0, answers: true, asked: 0 }
  const brokersTime = (): number => TRUE_TIME + at.monotonic
  const ask = async (): Promise<Outcome> => {
    at.asked++
    const ts = new Date(brokersTime()).toISOString()
    // The only part of a message that is looked at.
    return at.answers ? { kind: 'answer', message: { json: () => ({ ts }) } as unknown as Msg } : { kind: 'timeout' }
  }
  const wall = (): number => brokersTime() + at.ahead
  const clock = new BrokerClock({ ask }, { wall, monotonic: () => at.monotonic })
  const inAMinute = async (): Promise<number> =>
    (await clock.timeOf(new Date(wall() + 60_000))).getTime() - brokersTime()
  return { at, inAMinute }
}

test('a minute from now is a minute by the broker, however wrong our clock is or becomes', async () => {
  const { at, inAMinute } = world()
  for (const ahead of [0, HOUR_MS, -HOUR_MS, 0]) {
    at.ahead = ahead
    at.monotonic += 1000
    assert.equal(await inAMinute(), 60_000)
  }
  assert.equal(at.asked, 1)
  at.monotonic += 60_000
  await inAMinute()
  assert.equal(at.asked, 2)
})

test('while the broker is asked for its time, nobody goes by ours', async () => {
  const { at, inAMinute } = world()
  at.ahead = HOUR_MS
  assert.deepEqual(await Promise.all([inAMinute(), inAMinute(), inAMinute()]), [60_000, 60_000, 60_000])
  assert.equal(at.asked, 1)
})

test('a broker that does not say its time is taken to have ours, or what it said last', async () => {
  const { at, inAMinute } = world()
  at.answers = false
  assert.equal(await inAMinute(), 60_000)
  at.monotonic += 5000
  at.answers = true
  at.ahead = HOUR_MS
  assert.equal(await inAMinute(), 60_000)
  Object.assign(at, { answers: false, monotonic: at.monotonic + 61_000, ahead: -HOUR_MS })
  assert.equal(await inAMinute(), 60_000)
})
