import assert from 'node:assert/strict'
import { test } from 'node:test'

import { type Attempt, Throttle, type ThrottleSettings } from './throttle.ts'

const HALF_LIFE_MS = 600_000

function throttle(over: Partial<ThrottleSettings> = {}) {
  const clock = { now: 0 }
  const settings: ThrottleSettings = {
    ...{ pairLimit: 5, addressLimit: 20, accountLimit: 40, halfLifeMs: HALF_LIFE_MS, strangerIntervalMs: 10_000 },
    ...{ baseDelayMs: 250, maxDelayMs: 2000, maxEntries: 1000, ...over },
  }
  const limits = new Throttle(settings, () => clock.now)
  const admit = (account: string, address: string) => limits.admit(account, address)
  const attempt = (account: string, address: string): Attempt => {
    const admission = admit(account, address)
    assert.ok(admission.kind === 'admitted', JSON.stringify(admission))
    return admission.attempt
  }
  return {
    limits,
    clock,
    admit,
    attempt,
    fail: (account: string, address: string) => attempt(account, address).failed(),
  }
}

test('each failure of a client waits twice as long, up to a maximum', () => {
  const { fail } = throttle()
  assert.deepEqual(
    Array.from({ length: 5 }, () => fail('smith', '192.0.2.1')),
    [250, 500, 1000, 2000, 2000],
  )
})

test('a client that guesses at one account is throttled, for the time that is named, and nobody else is', () => {
  const { admit, fail, clock } = throttle()
  for (let index = 0; index < 5; index++) fail('smith', '192.0.2.1')
  const refused = admit('smith', '192.0.2.1')
  assert.ok(refused.kind === 'throttled' && refused.by === 'pair')
  assert.equal(admit('smith', '192.0.2.2').kind, 'admitted')
  assert.equal(admit('jones', '192.0.2.1').kind, 'admitted')
  clock.now += refused.retryAfterMs
  assert.equal(admit('smith', '192.0.2.1').kind, 'admitted')
})

test('a client that guesses at many accounts is throttled for all of them, one IPv6 /64 being one client', () => {
  const spellings = [
    (n: number) => (n % 2 === 0 ? '192.0.2.1' : '::ffff:192.0.2.1'),
    (n: number) => (n % 2 === 0 ? `2001:db8::${n.toString(16)}` : `2001:0DB8:0:0:1:2:3:${n.toString(16)}`),
  ]
  for (const address of spellings) {
    const { admit, fail } = throttle()
    for (let index = 0; index < 20; index++) fail(`account${index}`, address(index))
    const refused = admit('another', address(99))
    assert.ok(refused.kind === 'throttled' && refused.by === 'address', address(1))
    assert.equal(admit('another', '2001:db8:0:1::1').kind, 'admitted')
  }
})

test('guessing from everywhere is rationed, but never for an address the account has logged in from', () => {
  const { admit, attempt, fail, clock } = throttle()
  attempt('smith', '198.51.100.7').succeeded()
  for (let index = 0; index < 40; index++) fail('smith', `192.0.2.${index}`)
  assert.equal(admit('smith', '203.0.113.1').kind, 'admitted', 'the first stranger')
  const second = admit('smith', '203.0.113.2')
  assert.ok(second.kind === 'throttled' && second.by === 'account' && second.retryAfterMs <= 10_000)
  assert.equal(admit('smith', '198.51.100.7').kind, 'admitted', 'the owner')
  clock.now += second.retryAfterMs
  assert.equal(admit('smith', '203.0.113.2').kind, 'admitted')
  assert.equal(admit('smith', '203.0.113.3').kind, 'throttled')
})

test('failures fade', () => {
  const { fail, clock } = throttle()
  for (let index = 0; index < 4; index++) fail('smith', '192.0.2.1')
  clock.now += 3 * HALF_LIFE_MS
  assert.ok(fail('smith', '192.0.2.1') < 500)
})

test('attempts count while nobody knows yet: many at once are not free', () => {
  const { admit } = throttle()
  const kinds = Array.from({ length: 10 }, () => admit('smith', '192.0.2.1').kind)
  assert.equal(kinds.filter((kind) => kind === 'admitted').length, 5)
})

test('a success takes back what its client did to this account, and nothing else', () => {
  const { admit, attempt, fail } = throttle()
  for (let index = 0; index < 4; index++) fail('smith', '192.0.2.1')
  attempt('smith', '192.0.2.1').succeeded()
  for (let index = 0; index < 4; index++) fail('smith', '192.0.2.1')
  for (let index = 0; index < 11; index++) {
    fail(`other${index}`, '192.0.2.1')
    attempt('mine', '192.0.2.1').succeeded()
  }
  fail('other', '192.0.2.1')
  const refused = admit('another', '192.0.2.1')
  assert.ok(refused.kind === 'throttled' && refused.by === 'address', 'an account of his own cleared his address')
})

test('what nobody could look at counts for nothing', () => {
  const { attempt, limits } = throttle()
  for (let index = 0; index < 100; index++) attempt('smith', '192.0.2.1').withdraw()
  assert.equal(limits.entries, 0)
})

test('memory is bounded', () => {
  const { fail, limits } = throttle({ maxEntries: 10 })
  for (let index = 0; index < 1000; index++) fail(`account${index}`, `192.0.${index >> 8}.${index & 255}`)
  assert.ok(limits.entries <= 40, String(limits.entries))
})
