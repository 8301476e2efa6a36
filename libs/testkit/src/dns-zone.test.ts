import assert from 'node:assert/strict'
import { test } from 'node:test'

import { lookUpIn, parseZone } from './dns-zone.ts'

const zone = parseZone(`
$ORIGIN far.test.
@        SOA  ns root 1 3600 600 86400 30
         MX   10 a        ; same owner as above
a   7 IN A    192.0.2.1
_25._tcp.a TLSA 3 1 1 00ff
t        TXT  "a; b" c
*        MX   10 a
away     CNAME a
o        CNAME o
$ORIGIN other.test.
b        A    192.0.2.2
`)

const brief = (type: string, name: string): string => {
  const { rcode, answers, authorities } = lookUpIn(zone, type, name)
  return [
    rcode,
    ...answers.map((record) => `${record.name} ${record.type}`),
    ...authorities.map(({ type }) => type),
  ].join(' ')
}

test('owners, TTLs, origins, quotes and remarks are read', () => {
  assert.deepEqual(
    zone.map(({ name, ttl, type }) => `${name} ${ttl} ${type}`),
    [
      ...[
        'far.test 300 SOA',
        'far.test 300 MX',
        'a.far.test 7 A',
        '_25._tcp.a.far.test 300 TLSA',
        't.far.test 300 TXT',
      ],
      ...['*.far.test 300 MX', 'away.far.test 300 CNAME', 'o.far.test 300 CNAME', 'b.other.test 300 A'],
    ],
  )
  assert.deepEqual(zone[4]?.data, ['a; b', 'c'])
  assert.throws(() => parseZone('a WKS 192.0.2.1'), /line 1/)
})

test('answers, aliases, wildcards, "no data" and "no name" are what a recursive server says', () => {
  assert.equal(brief('MX', 'FAR.test'), 'NOERROR far.test MX')
  assert.equal(brief('A', 'away.far.test'), 'NOERROR away.far.test CNAME a.far.test A')
  assert.equal(brief('MX', 'x.y.far.test'), 'NOERROR x.y.far.test MX')
  assert.equal(brief('A', 'x.far.test'), 'NOERROR SOA')
  // Above a name that exists: it exists too, and no wildcard is for it.
  assert.equal(brief('MX', '_tcp.a.far.test'), 'NOERROR SOA')
  assert.equal(brief('MX', 'x.a.far.test'), 'NXDOMAIN SOA')
  assert.equal(brief('A', 'x.other.test'), 'NXDOMAIN')
  assert.equal(brief('A', 'o.far.test'), 'NOERROR o.far.test CNAME')
})
