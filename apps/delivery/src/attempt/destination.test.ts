import assert from 'node:assert/strict'
import { test } from 'node:test'

import { isAddress, isPrivate } from '../adapters/addresses.ts'
import { type DestinationRules, destinationOf, type DnsPorts, type MxRecord } from './destination.ts'

const rules: DestinationRules = {
  port: 25,
  smarthost: null,
  allowPrivate: false,
  ourselves: new Set(['mx.example.org', '198.51.100.9']),
  random: () => 0.5,
  ...{ isAddress, isPrivate },
}

const mx: Record<string, MxRecord[] | null> = {
  'far.test': [
    { preference: 20, exchange: 'b.far.test' },
    { preference: 10, exchange: 'A.far.test.' },
  ],
  'implicit.test': [],
  'null.test': [{ preference: 0, exchange: '.' }],
  'empty-null.test': [{ preference: 0, exchange: '' }],
  'gone.test': null,
  'loop.test': [
    { preference: 10, exchange: 'a.far.test' },
    { preference: 20, exchange: 'MX.example.org' },
    { preference: 30, exchange: 'b.far.test' },
  ],
  'ours.test': [{ preference: 10, exchange: 'mx.example.org' }],
  'private.test': [{ preference: 10, exchange: 'inside.test' }],
  'nowhere.test': [{ preference: 10, exchange: 'no-address.test' }],
  'address-loop.test': [{ preference: 10, exchange: 'also-us.test' }],
}
const addresses: Record<string, string[]> = {
  'a.far.test': ['192.0.2.1', '2001:db8::1'],
  'b.far.test': ['192.0.2.2'],
  'implicit.test': ['192.0.2.3'],
  'inside.test': ['10.0.0.1', '::1'],
  'also-us.test': ['198.51.100.9'],
  'smart.test': ['127.0.0.1'],
}
const dns: DnsPorts = {
  mx: async (domain) => {
    const records = mx[domain]
    if (records === undefined) throw new Error('SERVFAIL')
    return records
  },
  addresses: async (name) => {
    if (name === 'broken.test') throw new Error('timeout')
    return addresses[name] ?? []
  },
}

async function brief(site: string, changes: Partial<DestinationRules> = {}): Promise<string> {
  const destination = await destinationOf(site, dns, { ...rules, ...changes })
  if (destination.kind !== 'hosts') return `${destination.kind} ${destination.status}`
  return destination.hosts.map(({ name, address, port }) => `${name}/${address}:${port}`).join(' ')
}

test('hosts come in the order of preference, with all their addresses', async () => {
  assert.equal(await brief('far.test'), 'a.far.test/192.0.2.1:25 a.far.test/2001:db8::1:25 b.far.test/192.0.2.2:25')
})

test('the ends that names alone decide', async () => {
  assert.equal(await brief('implicit.test'), 'implicit.test/192.0.2.3:25')
  assert.equal(await brief('null.test'), 'impossible 5.1.10')
  assert.equal(await brief('empty-null.test'), 'impossible 5.1.10')
  assert.equal(await brief('gone.test'), 'impossible 5.1.2')
  assert.equal(await brief('nowhere.test'), 'temporary 4.4.4')
  await assert.rejects(brief('servfail.test'), /SERVFAIL/)
})

test('mail never goes to ourselves, by name or by address, nor to hosts behind us', async () => {
  assert.equal(await brief('loop.test'), 'a.far.test/192.0.2.1:25 a.far.test/2001:db8::1:25')
  assert.equal(await brief('ours.test'), 'impossible 5.4.6')
  assert.equal(await brief('address-loop.test'), 'impossible 5.4.6')
})

test('private addresses are no next hop unless allowed; a smarthost is what the operator says', async () => {
  assert.equal(await brief('private.test'), 'temporary 4.4.4')
  assert.equal(await brief('private.test', { allowPrivate: true }), 'inside.test/10.0.0.1:25 inside.test/::1:25')
  assert.equal(await brief('[127.0.0.1]'), 'temporary 4.4.4')
  assert.equal(await brief('far.test', { smarthost: { host: 'smart.test', port: 2525 } }), 'smart.test/127.0.0.1:2525')
})

test('address literals need no names', async () => {
  assert.equal(await brief('[192.0.2.7]'), '192.0.2.7/192.0.2.7:25')
  assert.equal(await brief('[ipv6:2001:db8::7]'), '2001:db8::7/2001:db8::7:25')
  assert.equal(await brief('[x400:nonsense]'), 'impossible 5.1.2')
})

test('equal preferences are spread evenly', async () => {
  const equal = ['a.far.test', 'b.far.test'].map((exchange) => ({ preference: 10, exchange }))
  let seed = 1
  const random = () => (seed = (seed * 16_807) % 2_147_483_647) / 2_147_483_647
  let first = 0
  for (let round = 0; round < 1000; round++) {
    const destination = await destinationOf('x.test', { ...dns, mx: async () => equal }, { ...rules, random })
    if (destination.kind === 'hosts' && destination.hosts[0]?.name === 'a.far.test') first++
  }
  // Chi-square with one degree of freedom, p = 0.001: 10.8.
  assert.ok(((first - 500) ** 2 / 500) * 2 < 10.8, `${first} of 1000`)
})
