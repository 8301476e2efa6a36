import assert from 'node:assert/strict'
import { Buffer } from 'node:buffer'
import { test, type TestContext } from 'node:test'

import { dnsResolver } from '@postbus/dns'
import { startDnsServer } from '@postbus/testkit'

import { isAddress } from '../adapters/addresses.ts'
import type { NextHopWay } from '../routing/route.ts'
import { type DestinationRules, destinationOf } from './destination.ts'

const rules: DestinationRules = {
  port: 25,
  allowPrivate: false,
  families: 'both',
  ourselves: new Set(['mx.example.org', '198.51.100.9']),
  random: () => 0.5,
  isAddress,
  // The addresses of documentation stand for public ones here.
  isPrivate: (address) => /^(10|127)\.|^::1$/.test(address),
}

const zone = `
$ORIGIN test.
@             SOA   ns root 1 3600 600 86400 30
far           MX    20 b.far
far           MX    10 A.far
a.far         A     192.0.2.1
a.far         AAAA  2001:db8::1
b.far         A     192.0.2.2
implicit      A     192.0.2.3
null          MX    0 .
half-null     MX    0 .
half-null     MX    10 b.far
loop          MX    10 a.far
loop          MX    20 MX.example.org.
loop          MX    30 b.far
ours          MX    10 mx.example.org.
before-us     MX    10 c.far
before-us     MX    20 mx.example.org.
address-loop  MX    10 a.far
address-loop  MX    20 also-us
address-loop  MX    20 b.far
alias-loop    MX    10 alias-of-us
also-us       A     198.51.100.9
alias-of-us   CNAME mx.example.org.
private       MX    10 inside
inside        A     10.0.0.1
inside        AAAA  ::1
half-private  MX    10 inside
half-private  MX    20 b.far
nowhere       MX    10 no-address
nowhere       MX    20 gone
no-address    TXT   here
alias         CNAME far
alias-mx      MX    10 to-b
to-b          CNAME b.far
to-implicit   CNAME implicit
dangling      CNAME gone
literal       MX    10 192.0.2.7.
literal       MX    20 b.far
nonsense      MX    10 192.0.2.7.
nonsense      MX    20 -
odd           MX    10 a\u0007é
long          MX    10 ${'a'.repeat(63)}.${'b'.repeat(63)}.${'c'.repeat(63)}
${Array.from({ length: 5 }, (_, index) => `long MX 20 ${`${index}`.repeat(63)}.${'b'.repeat(63)}.${'c'.repeat(63)}`).join('\n')}
xn--bcher-kva MX    10 b.far
many          A     192.0.2.11
many          A     192.0.2.12
many          A     192.0.2.13
many          AAAA  2001:db8::11
many          AAAA  2001:db8::12
six           AAAA  2001:db8::6
smart         A     127.0.0.1
equal         MX    10 a.far
equal         MX    10 b.far
$ORIGIN example.org.
mx            A     192.0.2.77
`

const mxOf = (domain: string): NextHopWay => ({ kind: 'mx', domain, port: null, named: false })

async function world(t: TestContext) {
  const server = await startDnsServer(t, zone)
  const dns = dnsResolver({ servers: [{ address: server.host, port: server.port }], timeoutMs: 1000, rounds: 1 })
  t.after(() => dns.close())
  const find = (site: string, changes: Partial<DestinationRules> = {}) =>
    destinationOf(mxOf(site), dns, { ...rules, ...changes })
  return { server, dns, find, brief: async (...asked: Parameters<typeof find>) => text(await find(...asked)) }
}

function text(destination: Awaited<ReturnType<typeof destinationOf>>): string {
  if (destination.kind !== 'hosts') return `${destination.kind} ${destination.status}: ${destination.reason}`
  return destination.hosts.map(({ name, address, port }) => `${name}/${address}:${port}`).join(' ')
}

const a = 'a.far.test/2001:db8::1:25 a.far.test/192.0.2.1:25'
const b = 'b.far.test/192.0.2.2:25'

test('hosts come in the order of preference, with all their addresses', async (t) => {
  const { brief } = await world(t)
  assert.equal(await brief('far.test'), `${a} ${b}`)
  assert.equal(await brief('FAR.test'), `${a} ${b}`)
})

test('a domain without MX is its own; one that does not exist, or takes no mail, is so for good', async (t) => {
  const { brief } = await world(t)
  assert.equal(await brief('implicit.test'), 'implicit.test/192.0.2.3:25')
  assert.equal(await brief('null.test'), 'impossible 5.1.10: The domain accepts no mail: null MX (556)')
  assert.equal(await brief('gone.test'), 'impossible 5.1.2: The domain does not exist')
  assert.equal(await brief('dangling.test'), 'impossible 5.1.2: The domain does not exist')
  assert.equal(await brief('a..test'), 'impossible 5.1.2: Not a domain name')
})

test('a domain whose mail hosts all have no address cannot get mail, and the report says which', async (t) => {
  const { brief } = await world(t)
  const none = 'impossible 5.4.4: No mail host of the domain can be found:'
  assert.equal(await brief('nowhere.test'), `${none} no-address.test has no address; gone.test has no address`)
  assert.equal(await brief('no-address.test'), `${none} no-address.test has no address`)
  assert.equal(await brief('nonsense.test'), `${none} 192.0.2.7 is no host name; -.test is no host name`)
})

test('a reason is printable and short, whatever a domain lists', async (t) => {
  const { find } = await world(t)
  for (const site of ['odd.test', 'long.test']) {
    const destination = await find(site)
    assert.ok(destination.kind === 'impossible')
    assert.match(destination.reason, /^[\x20-\x7e]{20,1100}$/)
  }
})

test('what DNS cannot tell is temporary, and no reason to take the domain for its own MX', async (t) => {
  const { brief, server } = await world(t)
  server.fault('implicit.test', 'servfail')
  await assert.rejects(brief('implicit.test'), /MX implicit\.test: .* SERVFAIL/)
  server.fault('far.test', 'silent')
  await assert.rejects(brief('far.test'), /timeout/)
  server.fault('gone.test', 'servfail')
  assert.match(
    await brief('nowhere.test'),
    /^temporary 4\.4\.3: DNS cannot tell: no-address\.test .*gone\.test: .* SERVFAIL/,
  )
})

test('one host or one family that cannot be looked up does not spoil the others', async (t) => {
  const { brief, server } = await world(t)
  server.fault('a.far.test', 'servfail')
  assert.equal(await brief('far.test'), b)
  // Only the question for AAAA (28) is answered with half a message.
  const half = (answer: Buffer, question: Buffer): Buffer =>
    question.includes(Buffer.from([0, 28, 0, 1])) ? answer.subarray(0, 20) : answer
  server.fault('to-b.test', { answer: half })
  assert.equal(await brief('alias-mx.test'), 'to-b.test/192.0.2.2:25')
})

test('mail never goes to ourselves, by name, alias or address, nor to hosts behind us', async (t) => {
  const { brief, server } = await world(t)
  const loop = 'impossible 5.4.6: Mail for this domain loops back to us'
  assert.equal(await brief('loop.test'), a)
  assert.equal(await brief('address-loop.test'), a)
  for (const site of ['ours.test', 'alias-loop.test', 'also-us.test', '[198.51.100.9]'])
    assert.equal(await brief(site), loop, site)
  // The host before us may come back.
  server.fault('c.far.test', 'servfail')
  assert.match(await brief('before-us.test'), /^temporary 4\.4\.3: DNS cannot tell: .*c\.far\.test/)
})

test('private addresses are no next hop unless allowed', async (t) => {
  const { brief } = await world(t)
  const refused = 'temporary 4.4.4: The next hop has only private addresses'
  assert.equal(await brief('private.test'), refused)
  assert.equal(await brief('half-private.test'), b)
  assert.equal(await brief('private.test', { allowPrivate: true }), 'inside.test/::1:25 inside.test/10.0.0.1:25')
  assert.equal(await brief('[127.0.0.1]'), refused)
})

test('a fixed host that cannot be found is never for good: it may be a slip of the operator', async (t) => {
  const { dns } = await world(t)
  const fixed = async (host: string, kind: 'hosts' | 'lmtp' = 'hosts') =>
    text(await destinationOf({ kind, host, port: 2525 }, dns, rules))
  assert.equal(await fixed('Smart.test'), 'smart.test/127.0.0.1:2525')
  assert.equal(await fixed('127.0.0.1'), '127.0.0.1/127.0.0.1:2525')
  assert.equal(await fixed('gone.test'), 'temporary 4.4.4: gone.test has no address')
  assert.equal(await fixed('not a name'), 'temporary 4.4.4: Not a host name: not a name')
  assert.equal(await fixed('localhost'), 'localhost/::1:2525 localhost/127.0.0.1:2525')
  assert.equal(await fixed('also-us.test', 'lmtp'), 'also-us.test/198.51.100.9:2525', 'another program of ours')
})

test("the MX of a domain that an operator names; what is wrong with it is no fault of the recipient's", async (t) => {
  const { dns } = await world(t)
  const named = async (domain: string, port: number | null = null) =>
    text(await destinationOf({ kind: 'mx', domain, port, named: true }, dns, rules))
  assert.equal(await named('private.test', 587), 'inside.test/::1:587 inside.test/10.0.0.1:587')
  assert.equal(await named('implicit.test'), 'implicit.test/192.0.2.3:25')
  for (const domain of ['gone.test', 'null.test']) assert.match(await named(domain), /^temporary 4\.3\.5: /)
})

test('address literals need no names', async (t) => {
  const { brief, server } = await world(t)
  assert.equal(await brief('[192.0.2.7]'), '192.0.2.7/192.0.2.7:25')
  assert.equal(await brief('[ipv6:2001:db8::7]'), '2001:db8::7/2001:db8::7:25')
  assert.equal(await brief('[x400:nonsense]'), 'impossible 5.1.2: Not an address literal we can use')
  assert.equal(server.questions.length, 0)
})

test('aliases are followed, of the domain and of its hosts', async (t) => {
  const { brief } = await world(t)
  assert.equal(await brief('alias.test'), `${a} ${b}`)
  assert.equal(await brief('alias-mx.test'), 'to-b.test/192.0.2.2:25')
  assert.equal(await brief('to-implicit.test'), 'to-implicit.test/192.0.2.3:25')
})

test('what a domain lists by mistake is passed over', async (t) => {
  const { brief } = await world(t)
  assert.equal(await brief('literal.test'), b)
  assert.equal(await brief('half-null.test'), b)
})

test('an internationalized domain is asked for by its A-labels', async (t) => {
  const { brief } = await world(t)
  assert.equal(await brief('Bücher.test'), b)
})

test('addresses of one host take turns, IPv6 first; or only one family is asked for', async (t) => {
  const { find, brief, server } = await world(t)
  const destination = await find('many.test')
  assert.ok(destination.kind === 'hosts')
  assert.deepEqual(
    destination.hosts.map(({ address }) => (address.includes(':') ? 6 : 4)),
    [6, 4, 6, 4, 4],
  )
  assert.equal(await brief('far.test', { families: 'ipv6' }), 'a.far.test/2001:db8::1:25')
  // Our choice is no proof that there are none.
  assert.equal(await brief('six.test', { families: 'ipv4' }), 'temporary 4.4.4: six.test has no IPv4 address')
  assert.ok(!server.questions.some(({ name, type }) => name === 'six.test' && type === 'AAAA'))
})

test('a host is authenticated when DNSSEC vouches for the MX records and the address', async (t) => {
  const { find, server } = await world(t)
  const vouched = async (site: string) => {
    const destination = await find(site)
    return destination.kind === 'hosts' ? destination.hosts.map(({ authenticated }) => authenticated) : []
  }
  server.authenticated = true
  assert.deepEqual(await vouched('far.test'), [true, true, true])
  assert.deepEqual(await vouched('[192.0.2.7]'), [undefined])
  server.authenticated = false
  // The addresses are still known from before.
  assert.deepEqual(await vouched('equal.test'), [false, false, false])
})

test('more hosts and addresses than anybody needs are not tried', async (t) => {
  const { find, server } = await world(t)
  const hosts = Array.from(
    { length: 30 },
    (_, index) => `big MX ${index} h${index}\nh${index} A 192.0.2.1\nh${index} A 192.0.2.2`,
  )
  server.add(`$ORIGIN test.\n${hosts.join('\n')}`)
  const destination = await find('big.test')
  assert.ok(destination.kind === 'hosts')
  assert.equal(destination.hosts.length, 40)
  assert.equal(destination.hosts.at(-1)?.name, 'h19.test')
})

test('equal preferences, and the addresses of a host, are spread evenly', async (t) => {
  const { find } = await world(t)
  let seed = 1
  const random = () => (seed = (seed * 16_807) % 2_147_483_647) / 2_147_483_647
  const first = new Map<string, number>()
  for (let round = 0; round < 1000; round++)
    for (const site of ['equal.test', 'many.test']) {
      const destination = await find(site, { random, families: 'ipv4' })
      assert.ok(destination.kind === 'hosts')
      const key = `${site} ${destination.hosts[0]?.address}`
      first.set(key, (first.get(key) ?? 0) + 1)
    }
  const chiSquare = (site: string): number => {
    const counts = [...first].filter(([key]) => key.startsWith(site)).map(([, count]) => count)
    const expected = 1000 / counts.length
    return counts.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0)
  }
  assert.equal(first.size, 5)
  // p = 0.001, with one and two degrees of freedom.
  assert.ok(chiSquare('equal.test') < 10.8, JSON.stringify([...first]))
  assert.ok(chiSquare('many.test') < 13.8, JSON.stringify([...first]))
})

test('a server that says too much to fit is asked again over TCP', async (t) => {
  const { brief, server } = await world(t)
  server.fault('*', 'truncate')
  assert.equal(await brief('far.test'), `${a} ${b}`)
  assert.deepEqual([...new Set(server.questions.map(({ over }) => over))], ['udp', 'tcp'])
})
