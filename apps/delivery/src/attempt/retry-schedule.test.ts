import assert from 'node:assert/strict'
import { test } from 'node:test'

import fc from 'fast-check'

import type { Retry } from './classify.ts'
import { nextAttemptAt, type RetrySchedule } from './retry-schedule.ts'

const MINUTE = 60_000
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR
const defaults: RetrySchedule = {
  firstMs: 5 * MINUTE,
  longestMs: 4 * HOUR,
  jitter: 0.2,
  soonMs: 3 * MINUTE,
  soonAttempts: 4,
}
const start = new Date(Date.UTC(2026, 0, 5))
const later = (ms: number): Date => new Date(start.getTime() + ms)
const never = later(1000 * DAY)

const schedules: fc.Arbitrary<RetrySchedule> = fc.record({
  firstMs: fc.integer({ min: 1, max: DAY }),
  longestMs: fc.integer({ min: 1, max: DAY }),
  jitter: fc.double({ min: 0, max: 0.5, noNaN: true }),
  soonMs: fc.integer({ min: 1, max: HOUR }),
  soonAttempts: fc.integer({ min: 0, max: 100 }),
})
const chance = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })
const attempts = fc.integer({ min: 1, max: 10_000 })
const retries: fc.Arbitrary<Retry | undefined> = fc.oneof(
  fc.constantFrom(undefined, 'soon' as const),
  fc.integer({ min: 1, max: 1000 * HOUR }),
)

const pause = (schedule: RetrySchedule, attempt: number, random: number, retry?: Retry): number =>
  (nextAttemptAt(schedule, { attempt, expiresAt: never, retry }, start, random)?.getTime() ?? NaN) - start.getTime()

test('pauses never become shorter from one attempt to the next', () => {
  fc.assert(
    fc.property(schedules, attempts, chance, (schedule, attempt, random) => {
      assert.ok(pause(schedule, attempt, random) <= pause(schedule, attempt + 1, random))
    }),
  )
})

test('no attempt comes after the expiry; the last is made when it is due; then there is none', () => {
  fc.assert(
    fc.property(
      schedules,
      attempts,
      chance,
      retries,
      fc.integer({ min: 1, max: 6 * DAY }),
      (schedule, attempt, random, retry, left) => {
        const expiresAt = later(left)
        const next = nextAttemptAt(schedule, { attempt, expiresAt, retry }, start, random)
        assert.ok(next !== null && next > new Date(start.getTime() - 1) && next <= expiresAt)
        assert.equal(nextAttemptAt(schedule, { attempt, expiresAt, retry }, expiresAt, random), null)
      },
    ),
  )
})

test('what a peer says moves an attempt within bounds only', () => {
  fc.assert(
    fc.property(schedules, attempts, chance, retries, (schedule, attempt, random, retry) => {
      const { soonMs, longestMs, firstMs, jitter } = schedule
      const waits = pause(schedule, attempt, random, retry)
      // A millisecond is what a Date rounds by.
      assert.ok(waits <= longestMs * (1 + jitter) + 1)
      assert.ok(waits >= Math.floor(Math.min(firstMs * (1 - jitter), soonMs, longestMs * (1 - jitter))))
    }),
  )
})

test('a greylisting peer is tried soon, not before the time it names, and not for ever', () => {
  assert.equal(pause(defaults, 1, 0, 'soon'), 3 * MINUTE)
  assert.equal(pause(defaults, 1, 0.5, 10 * MINUTE), 11 * MINUTE)
  assert.equal(pause(defaults, 1, 0, 1000), 3 * MINUTE)
  assert.equal(pause(defaults, 1, 0, 1000 * HOUR), 4 * HOUR)
  assert.equal(pause(defaults, 4, 0, 'soon'), 3 * MINUTE)
  assert.equal(pause(defaults, 5, 0.5, 'soon'), 80 * MINUTE)
  assert.equal(pause(defaults, 5, 0.5, 10 * MINUTE), 80 * MINUTE)
})

test('five days of tries: half an hour and more apart on average once the first four failed, the last at the end', () => {
  const expiresAt = later(5 * DAY)
  const tries = [start]
  for (let attempt = 1; ; attempt++) {
    const next = nextAttemptAt(defaults, { attempt, expiresAt }, tries.at(-1) ?? start, 0)
    if (next === null) break
    tries.push(next)
  }
  assert.deepEqual(tries.at(-1), expiresAt)
  assert.ok(tries.length < 50, `${tries.length} tries`)
  // RFC 5321 §4.5.4.1.
  const rest = tries.slice(4)
  assert.ok((expiresAt.getTime() - (rest[0]?.getTime() ?? 0)) / (rest.length - 1) >= 30 * MINUTE)
})
