import assert from 'node:assert/strict'
import { test } from 'node:test'

import fc from 'fast-check'

import { accountRecord, domainRecord } from '../adapters/storage/store.contract.ts'
import type { DomainRecord, NameRecord } from '../store.ts'
import { nameKey } from './names.ts'
import { resolveAddresses, type ResolvePorts, type ResolveSettings } from './resolve.ts'

const account = (localPart: string, domain = 'example.org', enabled = true): NameRecord => ({
  ...{ kind: 'account', localPart, domain, account: accountRecord(localPart).account, enabled },
})
const alias = (localPart: string, members: string[], kind: 'alias' | 'group' | 'list' = 'alias'): NameRecord => ({
  ...{ kind, localPart, domain: 'example.org', members, owner: kind === 'alias' ? null : 'owner@example.org' },
})

const domains: DomainRecord[] = [
  domainRecord('example.org'),
  domainRecord('example.net', { kind: 'alias', target: 'example.org', subaddressSeparator: null }),
  domainRecord('merged.test', { kind: 'rewrite', target: 'example.org', subaddressSeparator: null }),
  domainRecord('catch.test', { catchAll: 'smith@example.org' }),
  domainRecord('self.test', { catchAll: 'gone@self.test' }),
  domainRecord('minus.test', { subaddressSeparator: '-' }),
  domainRecord('plain.test', { subaddressSeparator: null }),
  domainRecord('xn--bcher-kva.test'),
]
const names: NameRecord[] = [
  account('smith'),
  account('jones'),
  account('smith+exact'),
  account('off', 'example.org', false),
  account('müller'),
  account('anna', 'minus.test'),
  account('a+b', 'plain.test'),
  account('info', 'xn--bcher-kva.test'),
  alias('info', ['smith@example.org', 'far@far.test']),
  alias('team', ['smith@example.org'], 'list'),
  alias('sales', ['jones@example.org'], 'group'),
  { kind: 'discard', localPart: 'sink', domain: 'example.org', members: [], owner: null },
]

const ports: ResolvePorts = {
  domains: async (asked) => domains.filter(({ domain }) => asked.includes(domain)),
  names: async (asked) => names.filter((name) => asked.some((one) => nameKey(one) === nameKey(name))),
  primaryDomain: async () => domains[0],
  oldestAccount: async () => ({ localPart: 'smith', domain: 'example.org' }),
}
const settings: ResolveSettings = { postmaster: null, addressLiterals: ['[192.0.2.25]'] }

async function resolve(address: string, over: Partial<ResolveSettings> = {}, other: Partial<ResolvePorts> = {}) {
  const [resolution] = await resolveAddresses([address], { ...ports, ...other }, { ...settings, ...over })
  return resolution
}

const smith = { kind: 'account', account: 'smith00000000', address: 'smith@example.org' }

test('an account is found in any spelling of its case, quoted or not', async () => {
  for (const address of ['smith@example.org', 'SMITH@EXAMPLE.ORG', '"Smith"@example.org', 'smith@example.org.'])
    assert.deepEqual(await resolve(address), smith, address)
  const müller = await resolve('MU\u0308LLER@example.org')
  assert.ok(müller?.kind === 'account' && müller.address === 'müller@example.org')
})

test('resolution does not depend on case', async () => {
  const localParts = names.map(({ localPart }) => localPart)
  const known = fc.constantFrom(...localParts, 'nobody', 'postmaster', 'abuse')
  const domain = fc.constantFrom(...domains.map((one) => one.domain), 'far.test')
  const mixed = (text: string) =>
    fc
      .array(fc.boolean(), { minLength: text.length, maxLength: text.length })
      .map((upper) => [...text].map((letter, index) => (upper[index] ? letter.toUpperCase() : letter)).join(''))
  const address = fc.tuple(known, domain).chain(([local, host]) => {
    const plain = `${local}@${host}`
    return fc.tuple(fc.constant(plain), mixed(plain))
  })
  await fc.assert(
    fc.asyncProperty(address, async ([plain, spelt]) => {
      const [one, two] = [await resolve(plain), await resolve(spelt)]
      // A rewriting keeps the spelling: its target need not be ours.
      if (one?.kind === 'rewrite' && two?.kind === 'rewrite') {
        assert.equal(two.forwardPath.toLowerCase(), one.forwardPath.toLowerCase())
      } else assert.deepEqual(two, one)
    }),
    { numRuns: 300 },
  )
})

test('the exact name comes before the name without its detail', async () => {
  const exact = await resolve('smith+exact@example.org')
  assert.ok(exact?.kind === 'account' && exact.address === '"smith+exact"@example.org'.replaceAll('"', ''))
  assert.deepEqual(await resolve('smith+Lists.Foo+x@example.org'), { ...smith, detail: 'Lists.Foo+x' })
  assert.deepEqual(await resolve('smith+@example.org'), smith)
  assert.deepEqual(await resolve('+smith@example.org'), { kind: 'unknown' })
})

test('the separator is its domain’s own', async () => {
  const minus = await resolve('anna-x@minus.test')
  assert.ok(minus?.kind === 'account' && minus.detail === 'x')
  assert.deepEqual(await resolve('anna+x@minus.test'), { kind: 'unknown' })
  assert.deepEqual(await resolve('a+c@plain.test'), { kind: 'unknown' })
  assert.equal((await resolve('a+b@plain.test'))?.kind, 'account')
})

test('an alias domain has the people of its target', async () => {
  assert.deepEqual(await resolve('Smith+x@Example.NET'), { ...smith, detail: 'x' })
  assert.equal((await resolve('info@example.net'))?.kind, 'alias')
  assert.deepEqual(await resolve('green@example.net'), { kind: 'unknown' })
})

test('a rewritten domain keeps the local part as it was spelt', async () => {
  assert.deepEqual(await resolve('"Any One"@merged.test'), {
    kind: 'rewrite',
    rule: 'rewrite merged.test to example.org',
    forwardPath: '"Any One"@example.org',
  })
})

test('an alias keeps the sender, a group and a list send as their owner', async () => {
  assert.deepEqual(await resolve('INFO@example.org'), {
    kind: 'alias',
    name: 'info@example.org',
    members: ['smith@example.org', 'far@far.test'],
  })
  for (const name of ['team', 'sales']) {
    const list = await resolve(`${name}@example.org`)
    assert.ok(list?.kind === 'list' && list.reversePath === 'owner@example.org', name)
  }
  assert.equal((await resolve('info+x@example.org'))?.kind, 'alias')
  assert.deepEqual(await resolve('sink@example.org'), { kind: 'discard', rule: 'discard sink@example.org' })
})

test('the catch-all takes whoever is unknown, and cannot catch its own mail', async () => {
  assert.deepEqual(await resolve('anybody@catch.test'), {
    kind: 'alias',
    name: '*@catch.test',
    members: ['smith@example.org'],
  })
  assert.deepEqual(await resolve('GONE@self.test'), { kind: 'unknown' })
})

test('postmaster of every local domain reaches somebody, and so does abuse — RFC 5321 §4.5.1', async () => {
  const reaches = (name: string, member: string) => ({ kind: 'alias', name, members: [member] })
  assert.deepEqual(await resolve('PostMaster@minus.test'), reaches('postmaster@minus.test', 'smith@example.org'))
  assert.deepEqual(await resolve('abuse@minus.test'), reaches('abuse@minus.test', 'postmaster@minus.test'))
  assert.deepEqual(await resolve('postmaster@example.net'), reaches('postmaster@example.org', 'smith@example.org'))
  assert.deepEqual(await resolve('Postmaster'), reaches('postmaster@example.org', 'smith@example.org'))
  assert.deepEqual(await resolve('postmaster@catch.test'), reaches('postmaster@catch.test', 'smith@example.org'))
  const named = await resolve('postmaster@example.org', { postmaster: 'ops@far.test' })
  assert.deepEqual(named, reaches('postmaster@example.org', 'ops@far.test'))
  const itself = await resolve('postmaster@example.org', { postmaster: 'Postmaster@Example.org' })
  assert.deepEqual(itself, reaches('postmaster@example.org', 'smith@example.org'))
  const nobody = await resolve('postmaster@example.org', {}, { oldestAccount: async () => undefined })
  assert.deepEqual(nobody, { kind: 'unknown' })
})

test('our address literals are the primary domain, others are remote', async () => {
  assert.deepEqual(await resolve('smith@[192.0.2.25]'), smith)
  assert.deepEqual(await resolve('smith@[IPv6:2001:DB8::1]'), { kind: 'remote', domain: '[ipv6:2001:db8::1]' })
})

test('a domain matches as U-labels and as A-labels', async () => {
  for (const address of ['info@bücher.test', 'info@BÜCHER.test', 'info@XN--BCHER-KVA.test'])
    assert.equal((await resolve(address))?.kind, 'account', address)
  assert.deepEqual(await resolve('a@Faß.test'), { kind: 'remote', domain: 'xn--fa-hia.test' })
})

test('disabled is not unknown; what is no address is', async () => {
  assert.deepEqual(await resolve('off@example.org'), { kind: 'disabled' })
  assert.deepEqual(await resolve('green'), { kind: 'unknown' })
})

test('a batch is answered in order with one question each for domains, targets and names', async () => {
  const questions: string[] = []
  const counted: ResolvePorts = {
    ...ports,
    domains: (asked) => (questions.push('domains'), ports.domains(asked)),
    names: (asked) => (questions.push('names'), ports.names(asked)),
  }
  const addresses = Array.from({ length: 99 }, (_, index) => `nobody${index}@example.net`)
  const resolutions = await resolveAddresses([...addresses, 'smith@example.org'], counted, settings)
  assert.equal(resolutions.length, 100)
  assert.deepEqual(resolutions.at(-1), smith)
  assert.deepEqual(questions, ['domains', 'names'])
})
