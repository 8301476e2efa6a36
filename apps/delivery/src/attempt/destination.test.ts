import assert from 'node:assert/strict'
import { test } from 'node:test'

import { isAddress, isPrivate } from '../adapters/addresses.ts'
import type { NextHopWay } from '../routing/route.ts'
import { type DestinationRules, destinationOf, type DnsPorts, type MxRecord } from './destination.ts'

const rules: DestinationRules = {
  port: 25,
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
  'two.test': ['192.0.2.8', '2001:db8::8'],
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

const mxOf = (domain: string): NextHopWay => ({ kind: 'mx', domain, port: null, named: false })

async function brief(to: string | NextHopWay, changes: Partial<DestinationRules> = {}): Promise<string> {
  const way = typeof to === 'string' ? mxOf(to) : to
  const destination = await destinationOf(way, dns, { ...rules, ...changes })
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

test('private addresses are no next hop unless allowed', async () => {
  assert.equal(await brief('private.test'), 'temporary 4.4.4')
  assert.equal(await brief('private.test', { allowPrivate: true }), 'inside.test/10.0.0.1:25 inside.test/::1:25')
  assert.equal(await brief('[127.0.0.1]'), 'temporary 4.4.4')
})

test('a host that an operator names is tried at all its addresses, private ones and our own too', async () => {
  for (const kind of ['hosts', 'lmtp'] as const) {
    assert.equal(await brief({ kind, host: 'smart.test', port: 2525 }), 'smart.test/127.0.0.1:2525')
    assert.equal(await brief({ kind, host: '::1', port: 24 }), '::1/::1:24')
    assert.equal(await brief({ kind, host: 'also-us.test', port: 10025 }), 'also-us.test/198.51.100.9:10025')
    assert.equal(await brief({ kind, host: 'two.test', port: 25 }), 'two.test/192.0.2.8:25 two.test/2001:db8::8:25')
    assert.equal(await brief({ kind, host: 'no-address.test', port: 25 }), 'temporary 4.4.4')
  }
})

test("the MX of a domain that an operator names; what is wrong with it is no fault of the recipient's", async () => {
  const named = (domain: string, port: number | null = null): NextHopWay => ({ kind: 'mx', domain, port, named: true })
  assert.equal(await brief(named('private.test', 587)), 'inside.test/10.0.0.1:587 inside.test/::1:587')
  assert.equal(await brief(named('implicit.test')), 'implicit.test/192.0.2.3:25')
  for (const domain of ['gone.test', 'null.test']) assert.equal(await brief(named(domain)), 'temporary 4.3.5')
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
    const destination = await destinationOf(mxOf('x.test'), { ...dns, mx: async () => equal }, { ...rules, random })
    if (destination.kind === 'hosts' && destination.hosts[0]?.name === 'a.far.test') first++
  }
  // Chi-square with one degree of freedom, p = 0.001: 10.8.
  assert.ok(((first - 500) ** 2 / 500) * 2 < 10.8, `${first} of 1000`)
})
