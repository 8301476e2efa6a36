import assert from 'node:assert/strict'
import { test } from 'node:test'

import { type Attempt, BUSY_RETRY_MS, Throttle, type ThrottleSettings } from './throttle.ts'

const HALF_LIFE_MS = 600_000

function throttle(over: Partial<ThrottleSettings> = {}) {
  const clock = { now: 0 }
  const settings: ThrottleSettings = {
    ...{ pairLimit: 5, addressLimit: 20, accountLimit: 40, halfLifeMs: HALF_LIFE_MS, strangerIntervalMs: 10_000 },
    ...{ baseDelayMs: 250, maxDelayMs: 2000, maxEntries: 1000, maxWaiting: 100, ...over },
  }
  const limits = new Throttle(settings, () => clock.now)
  const admit = (account: string, address: string) => limits.admit(account, address)
  const attempt = async (account: string, address: string): Promise<Attempt> => {
    const admission = await admit(account, address)
    assert.ok(admission.kind === 'admitted', JSON.stringify(admission))
    return admission.attempt
  }
  return {
    limits,
    clock,
    admit,
    attempt,
    fail: async (account: string, address: string) => (await attempt(account, address)).failed(),
    succeed: async (account: string, address: string) => (await attempt(account, address)).succeeded(),
  }
}

test('each failure of a client waits twice as long, up to a maximum', async () => {
  const { fail } = throttle()
  const delays = []
  for (let index = 0; index < 5; index++) delays.push(await fail('smith', '192.0.2.1'))
  assert.deepEqual(delays, [250, 500, 1000, 2000, 2000])
})

test('a client that guesses at one account is throttled, for the time that is named, and nobody else is', async () => {
  const { admit, fail, clock } = throttle()
  for (let index = 0; index < 5; index++) await fail('smith', '192.0.2.1')
  const refused = await admit('smith', '192.0.2.1')
  assert.ok(refused.kind === 'throttled' && refused.by === 'pair')
  assert.equal((await admit('smith', '192.0.2.2')).kind, 'admitted')
  assert.equal((await admit('jones', '192.0.2.1')).kind, 'admitted')
  clock.now += refused.retryAfterMs
  assert.equal((await admit('smith', '192.0.2.1')).kind, 'admitted')
})

test('a client that guesses at many accounts is throttled for all of them, one IPv6 /64 being one client', async () => {
  const spellings = [
    (n: number) => (n % 2 === 0 ? '192.0.2.1' : '::ffff:192.0.2.1'),
    (n: number) => (n % 2 === 0 ? `2001:db8::${n.toString(16)}` : `2001:0DB8:0:0:1:2:3:${n.toString(16)}`),
  ]
  for (const address of spellings) {
    const { admit, fail } = throttle()
    for (let index = 0; index < 20; index++) await fail(`account${index}`, address(index))
    const refused = await admit('another', address(99))
    assert.ok(refused.kind === 'throttled' && refused.by === 'address', address(1))
    assert.equal((await admit('another', '2001:db8:0:1::1')).kind, 'admitted')
  }
})

test('guessing from everywhere is rationed, but never for an address the account has logged in from', async () => {
  const { admit, fail, succeed, clock } = throttle()
  await succeed('smith', '198.51.100.7')
  for (let index = 0; index < 40; index++) await fail('smith', `192.0.2.${index}`)
  await fail('smith', '203.0.113.1') // The first stranger.
  const second = await admit('smith', '203.0.113.2')
  assert.ok(second.kind === 'throttled' && second.by === 'account' && second.retryAfterMs <= 10_000)
  await succeed('smith', '198.51.100.7')
  clock.now += second.retryAfterMs
  await fail('smith', '203.0.113.2')
  assert.equal((await admit('smith', '203.0.113.3')).kind, 'throttled')
})

test('failures fade', async () => {
  const { fail, clock } = throttle()
  for (let index = 0; index < 4; index++) await fail('smith', '192.0.2.1')
  clock.now += 3 * HALF_LIFE_MS
  assert.ok((await fail('smith', '192.0.2.1')) < 500)
})

test('attempts wait while those under way could exhaust a limit, and are throttled when they do', async () => {
  const { admit } = throttle()
  const admissions = Array.from({ length: 10 }, () => admit('smith', '192.0.2.1'))
  let decided = 0
  for (const admission of admissions) void admission.then(() => decided++)
  await new Promise((resolve) => setImmediate(resolve))
  assert.equal(decided, 5)
  for (const admission of await Promise.all(admissions.slice(0, 5))) {
    assert.ok(admission.kind === 'admitted')
    admission.attempt.failed()
  }
  const others = await Promise.all(admissions.slice(5))
  assert.deepEqual(
    others.map(({ kind }) => kind),
    ['throttled', 'throttled', 'throttled', 'throttled', 'throttled'],
  )
})

test('any number of clients of one account and address log in at once, if they are right', async () => {
  const { admit, limits } = throttle()
  let most = 0
  let open = 0
  const one = async (): Promise<void> => {
    const admission = await admit('smith', '192.0.2.1')
    assert.ok(admission.kind === 'admitted')
    most = Math.max(most, ++open)
    await new Promise((resolve) => setImmediate(resolve))
    open--
    admission.attempt.succeeded()
  }
  await Promise.all(Array.from({ length: 60 }, one))
  assert.equal(most, 5)
  assert.equal(limits.entries, 1, 'the pair that is known')
})

test('more than may wait are told to come again soon', async () => {
  const { admit } = throttle({ maxWaiting: 1 })
  const admissions = Array.from({ length: 7 }, () => admit('smith', '192.0.2.1'))
  const last = await (admissions.at(-1) ?? assert.fail())
  assert.ok(last.kind === 'throttled' && last.by === 'load' && last.retryAfterMs === BUSY_RETRY_MS)
})

test('a success takes back what its client did to this account, and nothing else', async () => {
  const { admit, fail, succeed } = throttle()
  for (let index = 0; index < 4; index++) await fail('smith', '192.0.2.1')
  await succeed('smith', '192.0.2.1')
  for (let index = 0; index < 4; index++) await fail('smith', '192.0.2.1')
  for (let index = 0; index < 11; index++) {
    await fail(`other${index}`, '192.0.2.1')
    await succeed('mine', '192.0.2.1')
  }
  await fail('other', '192.0.2.1')
  const refused = await admit('another', '192.0.2.1')
  assert.ok(refused.kind === 'throttled' && refused.by === 'address', 'an account of his own cleared his address')
})

test('what nobody could look at counts for nothing', async () => {
  const { attempt, limits } = throttle()
  for (let index = 0; index < 100; index++);
  ;(await attempt('smith', '192.0.2.1')).withdraw()
  assert.equal(limits.entries, 0)
})

test('memory is bounded', async () => {
  const { fail, limits } = throttle({ maxEntries: 10 })
  for (let index = 0; index < 1000; index++) await fail(`account${index}`, `192.0.${index >> 8}.${index & 255}`)
  assert.ok(limits.entries <= 40, String(limits.entries))
})
