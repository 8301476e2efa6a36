import assert from 'node:assert/strict'
import { test } from 'node:test'

import {
  asciiPath,
  formatPath,
  isAscii,
  normalizeAddress,
  normalizeDomain,
  parseAddress,
  parsePath,
} from './address.ts'

test('an address is taken apart at its last at-sign', () => {
  const table: Record<string, [string, string]> = {
    'jones@example.org': ['jones', 'example.org'],
    'Jones+Lists@Example.ORG': ['Jones+Lists', 'Example.ORG'],
    '"john doe"@example.org': ['john doe', 'example.org'],
    '"a@b"@example.org': ['a@b', 'example.org'],
    '"say \\"hi\\""@example.org': ['say "hi"', 'example.org'],
    '""@example.org': ['', 'example.org'],
    'user%other.test@example.org': ['user%other.test', 'example.org'],
    'u@[192.0.2.1]': ['u', '[192.0.2.1]'],
    'u@[IPv6:2001:db8::1]': ['u', '[IPv6:2001:db8::1]'],
    'u@localhost': ['u', 'localhost'],
    'u@my_host.example': ['u', 'my_host.example'],
    'użytkownik@żółw.example': ['użytkownik', 'żółw.example'],
  }
  for (const [text, [localPart, domain]] of Object.entries(table)) {
    assert.deepEqual(parseAddress(text), { localPart, domain }, text)
  }
})

test('what the grammar does not allow is no address', () => {
  const refused = [
    '',
    'jones',
    '@example.org',
    'jones@',
    '.jones@example.org',
    'jones.@example.org',
    'jo..nes@example.org',
    'jo nes@example.org',
    'a@b@example.org',
    '"open@example.org',
    '"ctl\u0001"@example.org',
    'jones@-example.org',
    'jones@example-.org',
    'jones@exa mple.org',
    'jones@example..org',
    `jones@${'x'.repeat(64)}.org`,
    `jones@${'ü'.repeat(60)}.org`,
    `${'x'.repeat(513)}@example.org`,
    'u@[300.0.2.1]',
    'u@[IPv6:zz::1]',
    'u@[IPv6:fe80::1%eth0]',
    'u@[2001:db8::1]',
    'u@[x-new:any!thing]',
    'u@[192.0.2.1',
    'jones@example.org\r\n',
  ]
  for (const text of refused) assert.equal(parseAddress(text), null, JSON.stringify(text))
})

test('local parts longer than 64 octets are taken, as bounce addresses of large senders have them', () => {
  const localPart = `bounce-${'x'.repeat(120)}`
  assert.deepEqual(parseAddress(`${localPart}@example.org`), { localPart, domain: 'example.org' })
})

test('a source route is ignored, and a malformed one refused', () => {
  assert.deepEqual(parsePath('@a.test,@b.test:jones@example.org'), { localPart: 'jones', domain: 'example.org' })
  for (const text of ['@a.test', '@a.test:', '@a.test,b.test:jones@example.org', '@:jones@example.org']) {
    assert.equal(parsePath(text), null, text)
  }
})

test('the null path and Postmaster without a domain are paths', () => {
  assert.equal(parsePath(''), '')
  assert.deepEqual(parsePath('PostMaster'), { localPart: 'PostMaster', domain: null })
})

test('what is written is read back the same', () => {
  for (const localPart of ['jones', 'john doe', 'a"b\\c', '.dot.', '', 'ünï']) {
    const address = { localPart, domain: 'example.org' }
    assert.deepEqual(parseAddress(formatPath(address)), address, formatPath(address))
  }
})

test('addresses of our domains compare without regard to case, quoting and spelling of the domain', () => {
  assert.equal(normalizeAddress('JONES@Example.ORG.'), 'jones@example.org')
  assert.equal(normalizeAddress('"jones"@example.org'), 'jones@example.org')
  assert.equal(normalizeAddress('Jo@BÜCHER.example'), 'jo@xn--bcher-kva.example')
  assert.equal(normalizeAddress('cafe\u0301@example.org'), 'caf\u00e9@example.org')
  assert.equal(normalizeAddress('nonsense'), null)
})

test('domains are normalised to lower-case A-labels, literals to lower case', () => {
  assert.equal(normalizeDomain('Bücher.Example'), 'xn--bcher-kva.example')
  assert.equal(asciiPath('Jo@Bücher.Example'), 'Jo@xn--bcher-kva.example')
  assert.equal(asciiPath('jö@bücher.example'), null)
  assert.equal(normalizeDomain('[IPv6:2001:DB8::1]'), '[ipv6:2001:db8::1]')
  assert.equal(normalizeDomain('no domain'), null)
  assert.equal(normalizeDomain(''), null)
})

test('ASCII is told from what needs SMTPUTF8', () => {
  assert.equal(isAscii('jones@example.org'), true)
  assert.equal(isAscii('jönes@example.org'), false)
})
