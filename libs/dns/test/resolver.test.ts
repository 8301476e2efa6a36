/** The resolver against a real server on real sockets, which behaves or does not. */
import assert from 'node:assert/strict'
import { Buffer } from 'node:buffer'
import { test, type TestContext } from 'node:test'

import { type DnsServer, startDnsServer } from '@postbus/testkit'

import {
  type Answer,
  type AskedEvent,
  type DnsOptions,
  dnsResolver,
  DnsUnavailable,
  InvalidName,
} from '../src/index.ts'

/** One after another. */
const aliases = (name: string, count: number): string =>
  Array.from({ length: count }, (_, at) => `${at === 0 ? '' : `${at}.`}${name} CNAME ${at + 1}.${name}`).join('\n')

const zone = `
$ORIGIN far.test.
@          SOA   ns root 1 3600 600 86400 30
      60   MX    20 B
     120   MX    10 a
a     5    A     192.0.2.1
a          AAAA  2001:db8::1
text       TXT   "two " "strings"
_25._tcp.a TLSA  3 1 1 00ff
alias      CNAME to.alias
to.alias   CNAME a
one        CNAME two
two        CNAME one
${aliases('many', 18)}
${aliases('long', 14)}
14.long    CNAME a
dangling   CNAME gone
null       MX    0 .
$ORIGIN 2.0.192.in-addr.arpa.
1          PTR   a.far.test.
$ORIGIN 8.b.d.0.1.0.0.2.ip6.arpa.
1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0 PTR a.far.test.
`

async function world(t: TestContext, options: DnsOptions = {}, also: readonly DnsServer[] = []) {
  const server = await startDnsServer(t, zone)
  const clock = { ms: 0 }
  const events: AskedEvent[] = []
  const servers = [server, ...also].map(({ host, port }) => ({ address: host, port }))
  const dns = dnsResolver({ servers, now: () => clock.ms, asked: (event) => events.push(event), ...options })
  t.after(() => dns.close())
  return { server, clock, events, dns }
}

const records = <T>(answer: Answer<T>): readonly T[] | string =>
  answer.kind === 'answer' ? answer.records : answer.kind

function failsWith(...reasons: string[]) {
  return (error: unknown): boolean => {
    assert.ok(error instanceof DnsUnavailable, String(error))
    assert.deepEqual(
      error.failures.map(({ reason }) => reason),
      reasons,
    )
    return true
  }
}

test('every type is read as what it is', async (t) => {
  const { dns } = await world(t)
  assert.deepEqual(records(await dns.mx('Far.Test.')), [
    { preference: 20, exchange: 'b.far.test' },
    { preference: 10, exchange: 'a.far.test' },
  ])
  assert.deepEqual(records(await dns.mx('null.far.test')), [{ preference: 0, exchange: '' }])
  assert.deepEqual(records(await dns.a('a.far.test')), ['192.0.2.1'])
  assert.deepEqual(records(await dns.aaaa('a.far.test')), ['2001:db8::1'])
  assert.deepEqual(records(await dns.txt('text.far.test')), [Buffer.from('two strings')])
  assert.deepEqual(records(await dns.tlsa('_25._tcp.a.far.test')), [
    { usage: 3, selector: 1, matchingType: 1, certificate: Buffer.from('00ff', 'hex') },
  ])
  assert.deepEqual(records(await dns.ptr('192.0.2.1')), ['a.far.test'])
  assert.deepEqual(records(await dns.ptr('2001:db8::1')), ['a.far.test'])
  assert.deepEqual(records(await dns.ask('CNAME', 'alias.far.test')), ['to.alias.far.test'])
})

test('no such name and no such record are different answers', async (t) => {
  const { dns } = await world(t)
  assert.equal((await dns.a('gone.far.test')).kind, 'noName')
  assert.equal((await dns.mx('a.far.test')).kind, 'noData')
  assert.equal((await dns.a('alias-to-nobody.far.test')).kind, 'noName')
})

test('a question asks for DNSSEC, names a size that fits, and comes with another id and from another port each time', async (t) => {
  const { dns, server } = await world(t)
  for (let index = 0; index < 20; index++) await dns.a(`x${index}.far.test`)
  assert.ok(server.questions.every(({ asksForDnssec, udpPayloadSize }) => asksForDnssec && udpPayloadSize === 1232))
  assert.ok(new Set(server.questions.map(({ id }) => id)).size > 15)
  assert.ok(new Set(server.questions.map(({ port }) => port)).size > 15)
})

test('what the server validated is authenticated, if the way to it is safe', async (t) => {
  const { dns, server } = await world(t)
  assert.equal((await dns.a('a.far.test')).authenticated, false)
  server.authenticated = true
  assert.equal((await dns.mx('far.test')).authenticated, true)
  assert.equal((await dns.a('gone.far.test')).authenticated, true)
})

test('an alias is followed, and its end is named', async (t) => {
  const { dns, server } = await world(t)
  const answer = await dns.a('alias.far.test')
  assert.deepEqual(answer, {
    ...{ kind: 'answer', records: ['192.0.2.1'], name: 'a.far.test', authenticated: false, ttl: 5 },
  })
  assert.equal(server.questions.length, 1)
  const dangling = await dns.a('dangling.far.test')
  assert.deepEqual([dangling.kind, dangling.name], ['noName', 'gone.far.test'])
})

test('an alias is followed where the server did not, and DNSSEC must vouch for every part', async (t) => {
  const { dns, server } = await world(t)
  server.authenticated = true
  for (const name of ['alias', 'to.alias', 'dangling']) server.fault(`${name}.far.test`, 'open')
  const answer = await dns.a('alias.far.test')
  assert.deepEqual([records(answer), answer.name, answer.authenticated], [['192.0.2.1'], 'a.far.test', true])
  assert.equal((await dns.a('dangling.far.test')).kind, 'noName')
  assert.deepEqual(
    server.questions.map(({ name }) => name),
    ['alias.far.test', 'to.alias.far.test', 'a.far.test', 'dangling.far.test', 'gone.far.test'],
  )
})

test('aliases in a circle, or too many of them, are temporary', async (t) => {
  const { dns, server } = await world(t)
  await assert.rejects(dns.a('one.far.test'), failsWith())
  await assert.rejects(dns.a('many.far.test'), failsWith())
  assert.deepEqual(records(await dns.a('long.far.test')), ['192.0.2.1'])
  server.fault('*', 'open')
  // Asked of each other, they still end.
  const both = await Promise.allSettled([dns.aaaa('one.far.test'), dns.aaaa('two.far.test')])
  assert.deepEqual(
    both.map(({ status }) => status),
    ['rejected', 'rejected'],
  )
})

test('an answer that is too long for UDP is asked for over TCP', async (t) => {
  const { dns, server } = await world(t)
  server.fault('a.far.test', 'truncate')
  assert.deepEqual(records(await dns.a('a.far.test')), ['192.0.2.1'])
  const hosts = Array.from({ length: 100 }, (_, index) => `big MX ${index} host-number-${index}`)
  server.add(`$ORIGIN far.test.\n${hosts.join('\n')}`)
  assert.equal(records(await dns.mx('big.far.test')).length, 100)
  assert.deepEqual(
    server.questions.map(({ over }) => over),
    ['udp', 'tcp', 'udp', 'tcp'],
  )
})

test('what is cut off over TCP too is no answer', async (t) => {
  const { dns, server } = await world(t, { rounds: 1 })
  const cutOff = (answer: Buffer): Buffer => {
    const changed = Buffer.from(answer)
    changed.writeUInt16BE(changed.readUInt16BE(2) | 0x0200, 2)
    return changed
  }
  server.fault('a.far.test', { answer: cutOff })
  await assert.rejects(dns.a('a.far.test'), failsWith('malformed'))
  server.fault('far.test', { answer: (answer) => cutOff(answer).subarray(0, 30) })
  await assert.rejects(dns.mx('far.test'), failsWith('malformed'))
})

test('a server that lies about id or question is not listened to', async (t) => {
  const { dns, server } = await world(t, { timeoutMs: 50, rounds: 1 })
  for (const fault of ['wrongId', 'wrongQuestion', 'garbage'] as const) {
    server.fault(`${fault}.far.test`, fault)
    await assert.rejects(dns.a(`${fault}.far.test`), DnsUnavailable)
  }
})

test('when somebody seems to guess ids, TCP is asked', async (t) => {
  const { dns, server } = await world(t)
  server.fault('a.far.test', 'forged')
  assert.deepEqual(records(await dns.a('a.far.test')), ['192.0.2.1'])
  assert.equal(server.questions.at(-1)?.over, 'tcp')
})

test('only records of the name that was asked for count', async (t) => {
  const { dns, server } = await world(t, { rounds: 1 })
  // The name's first letter in the answer section becomes another.
  const other = (answer: Buffer): Buffer => {
    const changed = Buffer.from(answer)
    const at = changed.lastIndexOf(Buffer.from('\x01a\x03far'))
    changed.write('b', at + 1)
    return changed
  }
  server.fault('a.far.test', { answer: other })
  assert.equal((await dns.a('a.far.test')).kind, 'noData')
})

test('SERVFAIL, REFUSED and a referral are no answer, and the next server is asked', async (t) => {
  const second = await startDnsServer(t, zone)
  const { dns, server } = await world(t, {}, [second])
  for (const fault of ['servfail', 'refused', 'referral'] as const) {
    server.fault('*', fault)
    assert.equal((await dns.a(`${fault}.far.test`)).kind, 'noName')
  }
  // A server that has nothing, and does not ask others.
  server.fault('*', {
    answer: (_, question) => Buffer.concat([question.subarray(0, 2), Buffer.from([0x81, 0]), question.subarray(4)]),
  })
  assert.equal((await dns.a('lame.far.test')).kind, 'noName')
  second.fault('*', 'refused')
  await assert.rejects(dns.mx('far.test'), failsWith('referral', 'REFUSED'))
})

test('a server that hangs or is gone is asked last for a while', async (t) => {
  const second = await startDnsServer(t, zone)
  const { dns, server, clock } = await world(t, { timeoutMs: 2000 }, [second])
  server.fault('*', 'silent')
  assert.deepEqual(records(await dns.a('a.far.test')), ['192.0.2.1'])
  assert.deepEqual([server.questions.length, second.questions.length], [1, 1])
  await dns.mx('far.test')
  assert.deepEqual([server.questions.length, second.questions.length], [1, 2])
  server.fault('*', null)
  clock.ms += 30_000
  await dns.aaaa('a.far.test')
  assert.deepEqual([server.questions.length, second.questions.length], [2, 2])
  await server.close()
  assert.deepEqual(records(await dns.txt('text.far.test')), [Buffer.from('two strings')])
})

test('when nobody answers the error says who was asked and what happened', async (t) => {
  const { dns, server } = await world(t, { timeoutMs: 30, rounds: 2 })
  server.fault('*', 'silent')
  await assert.rejects(dns.mx('far.test'), (error: unknown) => {
    assert.ok(error instanceof DnsUnavailable)
    assert.equal(error.message, `MX far.test: ${server.address} timeout`)
    return failsWith('timeout', 'timeout')(error)
  })
})

test('a server from before EDNS is asked without it', async (t) => {
  const { dns, server } = await world(t)
  server.fault('*', 'noEdns')
  assert.deepEqual(records(await dns.a('a.far.test')), ['192.0.2.1'])
  assert.deepEqual(
    server.questions.map(({ udpPayloadSize }) => udpPayloadSize),
    [1232, undefined],
  )
})

test('an answer is kept for the shortest TTL of its records, and says how much of it is left', async (t) => {
  const { dns, server, clock, events } = await world(t)
  assert.equal((await dns.mx('far.test')).ttl, 60)
  clock.ms += 59_500
  assert.equal((await dns.mx('FAR.test')).ttl, 1)
  assert.equal(server.questions.length, 1)
  clock.ms += 500
  assert.equal((await dns.mx('far.test')).ttl, 60)
  assert.equal(server.questions.length, 2)
  assert.deepEqual(
    events.map(({ type, outcome, cached }) => [type, outcome, cached]),
    [false, true, false].map((cached) => ['MX', 'answer', cached]),
  )
})

test('TTLs that are too short or too long are bounded, and so is the number of answers', async (t) => {
  const { dns, server, clock } = await world(t, { minTtlMs: 10_000, maxTtlMs: 20_000, cacheEntries: 2 })
  await dns.a('a.far.test')
  clock.ms += 9999
  await dns.a('a.far.test')
  assert.equal(server.questions.length, 1)
  await dns.mx('far.test')
  clock.ms += 20_000
  await dns.mx('far.test')
  assert.equal(server.questions.length, 3)
  for (const name of ['a', 'alias', 'to.alias', 'a']) await dns.a(`${name}.far.test`)
  assert.equal(server.questions.length, 7)
})

test('"no" is kept as long as the SOA says, and not at all without one', async (t) => {
  const { dns, server, clock } = await world(t)
  for (const name of ['gone.far.test', 'text.far.test']) {
    assert.equal((await dns.a(name)).ttl, 30)
    await dns.a(name)
  }
  assert.equal(server.questions.length, 2)
  clock.ms += 30_000
  await dns.a('gone.far.test')
  assert.equal(server.questions.length, 3)
  await dns.a('gone.elsewhere.test')
  await dns.a('gone.elsewhere.test')
  assert.equal(server.questions.length, 5)
})

test('a failure is kept for a moment only', async (t) => {
  const { dns, server, clock } = await world(t)
  server.fault('a.far.test', 'servfail')
  await assert.rejects(dns.a('a.far.test'))
  server.fault('a.far.test', null)
  await assert.rejects(dns.a('a.far.test'))
  assert.equal(server.questions.length, 1)
  clock.ms += 3000
  assert.deepEqual(records(await dns.a('a.far.test')), ['192.0.2.1'])
})

test('the same question asked twice at once is asked once', async (t) => {
  const { dns, server } = await world(t)
  server.fault('*', 'hold')
  const both = [dns.a('a.far.test'), dns.a('A.far.test')]
  await server.asked(1)
  server.release()
  await Promise.all(both)
  assert.equal(server.questions.length, 1)
})

test('many questions at once are all answered', async (t) => {
  const { dns } = await world(t)
  const answers = await Promise.all(Array.from({ length: 1200 }, (_, index) => dns.a(`x${index}.far.test`)))
  assert.ok(answers.every(({ kind }) => kind === 'noName'))
})

test('closing ends what is under way', async (t) => {
  const { dns, server } = await world(t)
  server.fault('*', 'hold')
  const asked = dns.a('a.far.test')
  await server.asked(1)
  dns.close()
  await assert.rejects(asked, failsWith('closed'))
  await assert.rejects(dns.mx('far.test'), DnsUnavailable)
})

test('AD of a server elsewhere is believed only when told so', async (t) => {
  // Another address of this machine's loopback stands for one elsewhere: what matters is only that the resolver says so.
  for (const [address, trustAd, expected] of [
    ['::ffff:127.0.0.1', false, false],
    ['::ffff:127.0.0.1', true, true],
    ['127.0.0.1', false, true],
  ] as const) {
    const server = await startDnsServer(t, zone, { authenticated: true })
    const dns = dnsResolver({ servers: [{ address, port: server.port }], trustAd })
    t.after(() => dns.close())
    assert.equal((await dns.a('a.far.test')).authenticated, expected, `${address} ${trustAd}`)
  }
})

test('what is no name is not asked, and localhost never is', async (t) => {
  const { dns, server } = await world(t)
  for (const name of ['a..test', `${'x'.repeat(64)}.test`, 'bücher.test', 'a b.test', `${'abcdefg.'.repeat(32)}test`])
    await assert.rejects(dns.a(name), InvalidName)
  await assert.rejects(dns.ptr('not an address'), InvalidName)
  assert.deepEqual(records(await dns.a('localhost')), ['127.0.0.1'])
  assert.deepEqual(records(await dns.aaaa('x.localhost.')), ['::1'])
  assert.deepEqual(records(await dns.mx('localhost')), 'noData')
  assert.equal(server.questions.length, 0)
})
