import assert from 'node:assert/strict'
import { test } from 'node:test'

import { type Bus, BusUnavailable, DependencyUnavailable } from '@postbus/bus'
import { keyPair } from '@postbus/mail-auth'

import { signingKeysOver } from './signing-keys.ts'

const { privateKey } = await keyPair('ed25519')

function world() {
  const state = { now: 0, down: false, requests: [] as string[][], changed: (): void => {} }
  const stoppable = { stop: async () => {} }
  const bus = {
    async request(_contract: unknown, input: unknown) {
      const { domains } = input as { domains: string[] } // the contract's input
      state.requests.push(domains)
      await new Promise((resolve) => setImmediate(resolve))
      if (state.down) throw new BusUnavailable('nobody answers')
      const ours = domains.filter((domain) => domain.endsWith('.ours'))
      return { keys: ours.map((domain) => ({ domain, selector: 's', algorithm: 'ed25519', privateKey })) }
    },
    listen(_contract: unknown, handler: (value: never) => void) {
      state.changed = () => handler({ revision: 2 } as never)
      return stoppable
    },
    onReconnect: () => stoppable,
  } as unknown as Pick<Bus, 'request' | 'listen' | 'onReconnect'> // only what the keys use
  const options = { cacheEntries: 3, cacheMs: 1000, staleMs: 60_000, now: () => state.now }
  return { state, ...signingKeysOver(bus, options) }
}

test('questions that come together share a request, and answers are kept for a while', async () => {
  const { state, keysOf } = world()
  const [one, two] = await Promise.all([keysOf(['a.ours', 'far.test']), keysOf(['a.ours', 'b.ours'])])
  assert.deepEqual(
    [one, two].map((keys) => keys?.map(({ domain }) => domain)),
    [['a.ours'], ['a.ours', 'b.ours']],
  )
  assert.equal(one?.[0]?.privateKey.asymmetricKeyType, 'ed25519')
  assert.deepEqual(state.requests, [['a.ours', 'far.test', 'b.ours']])
  await keysOf(['a.ours', 'far.test'])
  assert.equal(state.requests.length, 1)
  state.now = 1000
  await keysOf(['a.ours'])
  assert.equal(state.requests.length, 2)
})

test('a change is asked about at once, also one heard of while the answer was under way', async () => {
  const { state, keysOf, generation } = world()
  await keysOf(['a.ours'])
  const before = generation()
  state.changed()
  assert.ok(generation() > before)
  const asking = keysOf(['a.ours'])
  while (state.requests.length === 1) await new Promise((resolve) => setImmediate(resolve))
  state.changed()
  await asking
  await keysOf(['a.ours'])
  assert.equal(state.requests.length, 3)
})

test('while the directory is away an older answer does, and is not asked for each time; without one mail waits', async () => {
  const { state, keysOf } = world()
  await keysOf(['a.ours'])
  state.down = true
  state.changed()
  for (let time = 0; time < 3; time++) assert.equal((await keysOf(['a.ours'])).length, 1)
  assert.equal(state.requests.length, 2)
  await assert.rejects(keysOf(['b.ours']), DependencyUnavailable)
  await assert.rejects(keysOf(['a.ours', 'b.ours']), DependencyUnavailable)
  state.now = 60_000
  await assert.rejects(keysOf(['a.ours']), DependencyUnavailable)
  state.down = false
  assert.equal((await keysOf(['a.ours'])).length, 1)
})

test('what is kept is bounded', async () => {
  const { state, keysOf } = world()
  for (const domain of ['a.ours', 'b.ours', 'c.ours', 'd.ours', 'a.ours']) await keysOf([domain])
  assert.equal(state.requests.length, 5)
})
