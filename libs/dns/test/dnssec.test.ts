/** What others' servers say: Unbound validates what Knot signed. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { dnsResolver, DnsUnavailable } from '../src/index.ts'
import { startValidatingResolver } from './real-servers.ts'

const zone = `
@ 3600 SOA ns root 1 3600 600 86400 30
@ 3600 NS ns
ns 3600 A 127.0.0.1
@ 3600 MX 10 mx
mx 3600 A 192.0.2.1
mx 3600 AAAA 2001:db8::1
_25._tcp.mx 3600 TLSA 3 1 1 ${'0f'.repeat(32)}
alias 3600 CNAME mx
long 3600 TXT ${Array.from({ length: 20 }, () => `"${'x'.repeat(100)}"`).join(' ')}
`

test(
  'a validating resolver: signed answers, signed "no", a forged zone, and an answer too long for UDP',
  { timeout: 180_000 },
  async (t) => {
    const server = await startValidatingResolver(t, { 'far.test': zone, 'forged.test': zone }, 'forged.test')
    const dns = dnsResolver({ servers: [server] })
    t.after(() => dns.close())
    const asked = await Promise.all([
      dns.mx('far.test'),
      dns.a('alias.far.test'),
      dns.aaaa('mx.far.test'),
      dns.tlsa('_25._tcp.mx.far.test'),
      dns.mx('mx.far.test'),
      dns.a('gone.far.test'),
    ])
    assert.deepEqual(
      asked.map(({ kind, name, authenticated }) => `${kind} ${name} ${authenticated}`),
      [
        ...['answer far.test true', 'answer mx.far.test true', 'answer mx.far.test true'],
        ...['answer _25._tcp.mx.far.test true', 'noData mx.far.test true', 'noName gone.far.test true'],
      ],
    )
    const long = await dns.txt('long.far.test')
    assert.equal(long.kind === 'answer' && long.records[0]?.length, 2000)
    // What does not validate is not said, and so not believed.
    await assert.rejects(dns.mx('forged.test'), (error: unknown) => {
      assert.ok(error instanceof DnsUnavailable)
      return error.failures.every(({ reason }) => reason === 'SERVFAIL')
    })
  },
)
