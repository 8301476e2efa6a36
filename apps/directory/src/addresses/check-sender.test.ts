import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { Resolution } from '@postbus/contracts'

import { deniedSenders } from './check-sender.ts'

const smith: Resolution = { kind: 'account', account: 'smith00000000', address: 'smith@example.org' }
const table: Record<string, Resolution> = {
  'smith@example.org': smith,
  'smith+x@example.org': { ...smith, detail: 'x' },
  'jones@example.org': { kind: 'account', account: 'jones00000000', address: 'jones@example.org' },
  'info@example.org': { kind: 'alias', name: 'info@example.org', members: ['jones@example.org', 'smith@example.org'] },
  'old@merged.test': { kind: 'rewrite', rule: '', forwardPath: 'info@example.org' },
  'nested@example.org': { kind: 'alias', name: 'nested@example.org', members: ['info@example.org'] },
  'team@example.org': {
    kind: 'list',
    name: 'team@example.org',
    members: ['smith@example.org'],
    reversePath: 'x@y.test',
  },
  'round@example.org': { kind: 'alias', name: 'round@example.org', members: ['round@example.org'] },
}
const asked: number[] = []
const resolve = async (addresses: readonly string[]): Promise<Resolution[]> => {
  asked.push(addresses.length)
  return addresses.map((address) => table[address] ?? { kind: 'unknown' })
}
const denied = (...addresses: string[]) => deniedSenders('smith00000000', addresses, resolve)

test('an account may send as whoever’s mail it gets', async () => {
  assert.deepEqual(
    await denied(
      'smith@example.org',
      'smith+x@example.org',
      'info@example.org',
      'old@merged.test',
      'nested@example.org',
    ),
    [],
  )
})

test('it may not send as others, as a list, or as nobody', async () => {
  const others = ['jones@example.org', 'team@example.org', 'green@example.org', 'a@far.test', 'round@example.org']
  assert.deepEqual(await denied('smith@example.org', ...others), others)
})

test('aliases that go round in circles end', async () => {
  asked.length = 0
  assert.deepEqual(await denied('round@example.org'), ['round@example.org'])
  assert.ok(asked.length <= 3)
})
