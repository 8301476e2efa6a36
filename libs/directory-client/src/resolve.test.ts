import assert from 'node:assert/strict'
import { test } from 'node:test'

import { BusUnavailable, DependencyUnavailable, type Bus } from '@postbus/bus'
import type { Resolution } from '@postbus/contracts'

import { resolverOver } from './resolve.ts'

function fakeBus(answer: (addresses: string[]) => Promise<Resolution[]> | Resolution[]) {
  const requests: string[][] = []
  let changed = (): void => {}
  const stoppable = { stop: async () => {} }
  const bus = {
    async request(_contract: unknown, input: unknown) {
      const { addresses } = input as { addresses: string[] } // the contract's input
      requests.push(addresses)
      return { resolutions: await answer(addresses), revision: 1 }
    },
    listen(_contract: unknown, handler: (value: never) => void) {
      changed = () => handler({ revision: 2 } as never)
      return stoppable
    },
    onReconnect: () => stoppable,
  } as unknown as Pick<Bus, 'request' | 'listen' | 'onReconnect'> // only what the directory uses
  return { bus, requests, change: () => changed() }
}

const remote = (addresses: string[]): Resolution[] => addresses.map((domain) => ({ kind: 'remote', domain }))
const options = { cacheEntries: 10, cacheMs: 1000, now: () => 0 }

test('messages that arrive together share one request, and answers keep their order', async () => {
  const { bus, requests } = fakeBus(remote)
  const directory = resolverOver(bus, options)
  const answers = await Promise.all([directory.resolve(['a', 'b']), directory.resolve(['b', 'c'])])
  assert.deepEqual(answers, [remote(['a', 'b']), remote(['b', 'c'])])
  assert.deepEqual(requests, [['a', 'b', 'c']])
})

test('no request asks for more addresses than the contract allows', async () => {
  const { bus, requests } = fakeBus(remote)
  const many = Array.from({ length: 250 }, (_, index) => `a${index}`)
  assert.deepEqual(await resolverOver(bus, options).resolve(many), remote(many))
  assert.deepEqual(
    requests.map((request) => request.length),
    [100, 100, 50],
  )
})

test('an answer is kept until the directory changed or its time is over', async () => {
  let now = 0
  const { bus, requests, change } = fakeBus(remote)
  const directory = resolverOver(bus, { ...options, now: () => now })
  await directory.resolve(['a'])
  await directory.resolve(['a'])
  assert.equal(requests.length, 1)
  change()
  await directory.resolve(['a'])
  assert.equal(requests.length, 2)
  now = 1000
  await directory.resolve(['a'])
  assert.equal(requests.length, 3)
})

test('an answer given before a change is not kept after it', async () => {
  const waiting: (() => void)[] = []
  const { bus, requests, change } = fakeBus(async (addresses) => {
    await new Promise<void>((resolve) => waiting.push(resolve))
    return remote(addresses)
  })
  const directory = resolverOver(bus, options)
  const first = directory.resolve(['a'])
  while (waiting.length === 0) await new Promise((resolve) => setImmediate(resolve))
  change()
  waiting[0]?.()
  await first
  const second = directory.resolve(['a'])
  while (waiting.length === 1) await new Promise((resolve) => setImmediate(resolve))
  waiting[1]?.()
  await second
  assert.equal(requests.length, 2)
})

test('the cache is bounded', async () => {
  const { bus, requests } = fakeBus(remote)
  const directory = resolverOver(bus, { ...options, cacheEntries: 1 })
  await directory.resolve(['a'])
  await directory.resolve(['b'])
  await directory.resolve(['a'])
  assert.equal(requests.length, 3)
})

test('a directory that does not answer says nothing about an address', async () => {
  const { bus } = fakeBus(async () => {
    throw new BusUnavailable('nobody answers')
  })
  await assert.rejects(resolverOver(bus, options).resolve(['a']), DependencyUnavailable)
})
