import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { Resolution } from '@postbus/contracts'

import { findRecipient } from './find-recipient.ts'

const known: Record<string, Resolution> = {
  'jones@example.org': { kind: 'account', account: 'a0000001', address: 'jones@example.org' },
  'info@example.org': { kind: 'alias', name: 'info@example.org', members: ['nobody@example.org'] },
  'all@example.org': { kind: 'list', name: 'all@example.org', members: [], reversePath: '' },
  'noreply@example.org': { kind: 'discard', rule: 'noreply' },
  'gone@example.org': { kind: 'disabled' },
  'jones@merged.test': { kind: 'rewrite', rule: 'merged', forwardPath: 'jones@example.org' },
  'nobody@merged.test': { kind: 'rewrite', rule: 'merged', forwardPath: 'nobody@example.org' },
  'x@outsourced.test': { kind: 'rewrite', rule: 'outsourced', forwardPath: 'x@far.test' },
  'x@circle.test': { kind: 'rewrite', rule: 'circle', forwardPath: 'x@circle.test' },
  'x@far.test': { kind: 'remote', domain: 'far.test' },
}
const resolve = async (addresses: readonly string[]): Promise<Resolution[]> =>
  addresses.map((address) => known[address] ?? { kind: 'unknown' })

test('whoever the directory knows is ours; what an alias stands for is not asked', async () => {
  for (const address of ['jones@example.org', 'info@example.org', 'all@example.org', 'noreply@example.org']) {
    assert.equal(await findRecipient(address, resolve), 'ours', address)
  }
})

test('unknown, disabled and foreign are told apart', async () => {
  assert.equal(await findRecipient('nobody@example.org', resolve), 'unknown')
  assert.equal(await findRecipient('gone@example.org', resolve), 'disabled')
  assert.equal(await findRecipient('x@far.test', resolve), 'foreign')
})

test('rewriting is followed to a name that is unknown, leaves when it should, and never runs in circles', async () => {
  assert.equal(await findRecipient('jones@merged.test', resolve), 'ours')
  assert.equal(await findRecipient('nobody@merged.test', resolve), 'unknown')
  assert.equal(await findRecipient('x@outsourced.test', resolve), 'ours')
  assert.equal(await findRecipient('x@circle.test', resolve), 'ours')
})

test('silence says nothing about an address', async () => {
  await assert.rejects(
    findRecipient('jones@example.org', () => Promise.reject(new Error('down'))),
    /down/,
  )
  await assert.rejects(
    findRecipient('jones@example.org', async () => []),
    /left the address out/,
  )
})
