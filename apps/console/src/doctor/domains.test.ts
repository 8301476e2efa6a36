import assert from 'node:assert/strict'
import { test } from 'node:test'

import { type DomainState, judgeDomain, judgeName, judgeResolver } from './domains.ts'

const record = 'v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo='
const well: DomainState = {
  domain: 'example.org',
  mx: ['mx.example.org'],
  mxOurs: ['mx.example.org'],
  texts: ['something else', 'v=spf1 mx -all'],
  dmarc: ['v=DMARC1; p=none'],
  keys: [{ recordName: '202601e._domainkey.example.org', record, published: [record] }],
}
const judge = (changes: Partial<DomainState>): string[] =>
  judgeDomain({ ...well, ...changes }).map(({ level, found }) => `${level}: ${found}`)

test('what DNS says of a domain', () => {
  assert.deepEqual(judge({}), ['ok: MX, SPF, DKIM and DMARC are there'])
  assert.deepEqual(judge({ mx: [], mxOurs: [] }), ['warning: has no MX'])
  assert.deepEqual(judge({ mx: [''], mxOurs: [] }), ['warning: says that it takes no mail (null MX)'])
  assert.deepEqual(judge({ mx: ['mx.other.test'], mxOurs: [] }), ['warning: its MX is not this server: mx.other.test'])
  assert.deepEqual(judge({ texts: [] }), ['warning: has no SPF record'])
  assert.deepEqual(judge({ texts: ['v=spf10', 'v=spf1'] }), ['ok: MX, SPF, DKIM and DMARC are there'])
  assert.deepEqual(judge({ texts: ['v=spf1 -all', 'v=spf1 mx'] }), [
    'warning: has 2 SPF records, which is as good as none',
  ])
  assert.deepEqual(judge({ dmarc: ['v=DMARC1x'] }), ['warning: has no DMARC policy'])
  assert.deepEqual(judge({ keys: [] }), ['warning: signs nothing (DKIM)'])
  assert.match(judgeDomain({ ...well, keys: [], prepared: true })[0]?.todo ?? '', /dkim activate/)
  const [key] = well.keys
  assert.ok(key)
  assert.deepEqual(judge({ keys: [{ ...key, published: ['v=DKIM1; k=ed25519; p='] }] }), [
    `warning: signs with a key that is not published: ${key.recordName}`,
  ])
})

test('where DNS cannot tell, nothing is said to be missing', () => {
  const found = judgeDomain({
    ...well,
    ...{ mx: null, texts: null, dmarc: null, keys: well.keys.map((key) => ({ ...key, published: null })) },
  })
  assert.deepEqual(new Set(found.map(({ level }) => level)), new Set(['unknown']))
  assert.equal(found.length, 4)
})

test('our name leads to an address, and the address back to the name', () => {
  const name = (addresses: string[] | null, reverse: [string, string[] | null][]) =>
    judgeName({
      hostname: 'Mail.example.org',
      addresses,
      reverse: reverse.map(([address, names]) => ({ address, names })),
    }).map(({ level, found }) => `${level}: ${found}`)
  assert.deepEqual(name(['192.0.2.1'], [['192.0.2.1', ['mail.example.org']]]), ['ok: 192.0.2.1, and back'])
  assert.deepEqual(name([], []), ['warning: has no address'])
  assert.deepEqual(name(null, []), ['unknown: DNS does not tell its addresses'])
  assert.deepEqual(name(['192.0.2.1'], [['192.0.2.1', []]]), ['warning: 192.0.2.1 has no name'])
  assert.deepEqual(name(['192.0.2.1'], [['192.0.2.1', ['a.test', 'b.test']]]), [
    'warning: 192.0.2.1 is called a.test, b.test',
  ])
  assert.deepEqual(name(['192.0.2.1'], [['192.0.2.1', null]]), ['unknown: DNS does not tell the name of 192.0.2.1'])
})

test('a resolver that does not answer, or answers only what it likes', () => {
  const level = (roots: number, failure: string | null) => judgeResolver({ roots, failure }).level
  assert.deepEqual([level(13, null), level(0, null), level(0, 'timeout')], ['ok', 'warning', 'error'])
})
