import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'

import { accountRecord, domainRecord } from '../adapters/storage/store.contract.ts'
import type { AccountRecord } from '../store.ts'
import { boundedHasher, type Hasher } from './hasher.ts'
import { type LoginPorts, logIn } from './log-in.ts'
import { LoginMemory } from './login-memory.ts'
import { hashPassword } from './password.ts'
import { Throttle } from './throttle.ts'

const cheap = { memoryKiB: 64, passes: 1 }
const scram = { salt: new Uint8Array(), iterations: 4096, storedKey: new Uint8Array(), serverKey: new Uint8Array() }
const client = { username: 'smith@example.org', password: 'correct horse', clientAddress: '192.0.2.1' }

async function directory(_: TestContext, over: { hash?: string; hasher?: Hasher } = {}) {
  const clock = { now: 0 }
  const stored = { hash: over.hash ?? (await hashPassword('correct horse', cheap)), account: accountRecord('smith') }
  let hashes = 0
  const bounded = over.hasher ?? boundedHasher({ concurrency: 2, maxWaiting: 10 })
  const hasher: Hasher = {
    run: (work) => {
      hashes++
      return bounded.run(work)
    },
    waiting: 0,
  }
  const ports: LoginPorts = {
    domains: async ([domain]) => (domain === 'example.org' ? [domainRecord('example.org')] : []),
    accountNamed: async ({ localPart }): Promise<AccountRecord | undefined> =>
      localPart === 'smith' ? stored.account : undefined,
    credential: async () => ({ passwordHash: stored.hash, scram }),
    renewCredential: async (_account, from, to) => {
      if (stored.hash === from) stored.hash = to.passwordHash
    },
  }
  const settings = {
    ...{ pairLimit: 3, addressLimit: 20, accountLimit: 40, halfLifeMs: 60_000, strangerIntervalMs: 1000 },
    ...{ baseDelayMs: 1, maxDelayMs: 1, maxEntries: 100, maxWaiting: 100 },
  }
  const tools = {
    hasher,
    parameters: cheap,
    scramIterations: scram.iterations,
    verifyForeignHash: async () => false,
    dummyHash: await hashPassword('nobody', cheap),
    throttle: new Throttle(settings, () => clock.now),
    memory: new LoginMemory({ forMs: 60_000, maxEntries: 100 }, () => clock.now),
  }
  return {
    clock,
    stored,
    ports,
    tools,
    hashed: () => hashes,
    login: (more = {}) => logIn({ ...client, ...more }, ports, tools),
  }
}

test('an unknown account costs as many hashes as a known one', async (t) => {
  const { login, hashed } = await directory(t)
  await login({ password: 'wrong' })
  assert.equal(hashed(), 1)
  await login({ username: 'green@example.org', password: 'wrong' })
  await login({ username: 'no address', password: 'wrong' })
  await login({ username: 'green@example.org', password: '\u0007' })
  assert.equal(hashed(), 4)
})

test('a login is computed once in a while, and again after a change', async (t) => {
  const { login, hashed, stored, clock } = await directory(t)
  for (let index = 0; index < 5; index++) assert.equal((await login()).kind, 'accepted')
  assert.equal(hashed(), 1)
  clock.now += 60_001
  await login()
  assert.equal(hashed(), 2)
  stored.account = { ...stored.account, credentialVersion: 2 }
  await login()
  assert.equal(hashed(), 3)
  assert.equal((await login({ password: 'correct horse!' })).kind, 'refused')
})

test('a hash under older parameters is renewed by its owner’s login', async (t) => {
  const old = await hashPassword('correct horse', { memoryKiB: 32, passes: 1 })
  const { login, stored } = await directory(t, { hash: old })
  assert.equal((await login({ password: 'wrong' })).kind, 'refused')
  assert.equal(stored.hash, old)
  assert.equal((await login()).kind, 'accepted')
  assert.match(stored.hash, /m=64,t=1/)
  assert.equal((await login()).kind, 'accepted')
})

test('who is throttled is not even looked at, with the right password either', async (t) => {
  const { login, hashed } = await directory(t)
  for (let index = 0; index < 3; index++) assert.equal((await login({ password: 'wrong' })).kind, 'refused')
  const refused = await login()
  assert.ok(refused.kind === 'throttled' && refused.by === 'pair')
  assert.equal(hashed(), 3)
})

test('a burst beyond what can be hashed is told to come again, and nobody’s failure', async (t) => {
  const never = Promise.withResolvers<void>()
  const hasher = boundedHasher({ concurrency: 1, maxWaiting: 0 })
  void hasher.run(() => never.promise)
  const { login, tools } = await directory(t, { hasher })
  const answer = await login()
  assert.ok(answer.kind === 'throttled' && answer.by === 'load')
  assert.equal(tools.throttle.entries, 0)
})

test('of many clients that come at once with the right password, a few compute it', async (t) => {
  const { login, hashed } = await directory(t)
  const logins = await Promise.all(Array.from({ length: 50 }, () => login()))
  assert.ok(logins.every(({ kind }) => kind === 'accepted'))
  assert.ok(hashed() <= 3, String(hashed()))
})

test('hashes computed at once are bounded', async () => {
  const hasher = boundedHasher({ concurrency: 2, maxWaiting: 10 })
  let [running, most] = [0, 0]
  const one = () =>
    hasher.run(async () => {
      most = Math.max(most, ++running)
      await new Promise((resolve) => setImmediate(resolve))
      running--
    })
  await Promise.all(Array.from({ length: 8 }, one))
  await Promise.all(Array.from({ length: 8 }, one))
  assert.equal(most, 2)
})

test('a storage that fails is a fault: no refusal, nothing counted', async (t) => {
  const { ports, tools } = await directory(t)
  const broken: LoginPorts = {
    ...ports,
    credential: async () => {
      throw new Error('disk')
    },
  }
  await assert.rejects(logIn(client, broken, tools), /disk/)
  assert.equal(tools.throttle.entries, 0)
})
