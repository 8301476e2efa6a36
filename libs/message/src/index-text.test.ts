import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'

import { casemap } from './casemap.ts'
import { indexText } from './index-text.ts'
import { parseStructureOf } from './parse-structure.ts'
import { searchText } from './search-text.ts'

const unit = fc.constantFrom(
  'a',
  'B',
  ' ',
  '\r\n',
  'é',
  'e\u0301',
  '\u0323',
  '\u0301',
  'ß',
  'ﬁ',
  '漢',
  '\u{1f600}',
  '\0',
  'ſ',
)
const text = fc.array(unit, { maxLength: 40 }).map((units) => units.join(''))

const chunked = (bytes: Buffer, size: number): Buffer[] =>
  Array.from({ length: Math.ceil(bytes.length / size) }, (_, index) => bytes.subarray(index * size, (index + 1) * size))

test('a text may be folded in pieces', () => {
  fc.assert(
    fc.property(fc.array(text), (pieces) => assert.equal(pieces.map(casemap).join(''), casemap(pieces.join('')))),
  )
})

test('case is folded as by i;unicode-casemap', () => {
  const forms = {
    Straße: 'STRAßE',
    ﬁ: 'fi',
    Ａｂ: 'AB',
    é: 'E\u0301',
    'e\u0301': 'E\u0301',
    ſ: 'S',
    한: '\u1112\u1161\u11ab',
  }
  for (const [given, form] of Object.entries(forms)) assert.equal(casemap(given), form)
  assert.notEqual(casemap('a\u0301\u0323'), casemap('a\u0323\u0301'), 'marks stay in their order')
})

test('what a search finds in a part stands in the indexed text in one piece', async () => {
  const property = fc.asyncProperty(
    text,
    text,
    fc.nat(),
    fc.nat(30),
    fc.integer({ min: 1, max: 50 }),
    async (one, two, from, length, size) => {
      const message = Buffer.from(
        [
          `Subject: =?utf-8?b?${Buffer.from(one).toString('base64')}?=`,
          'Content-Type: multipart/mixed; boundary=b',
          '',
          '--b',
          'Content-Type: text/plain; charset=utf-8',
          'Content-Transfer-Encoding: base64',
          '',
          Buffer.from(one).toString('base64'),
          '--b',
          'Content-Type: text/plain; charset=utf-8',
          '',
          `${two}`,
          '--b--',
        ].join('\r\n'),
      )
      const root = parseStructureOf(message)
      const all = one + two
      const value = all.slice(from % (all.length + 1)).slice(0, length)
      const keys = (['body', 'text'] as const).map((where) => ({ in: where, value }))
      const [inBody, inText] = await searchText(chunked(message, size), root, keys)
      const indexed = (await indexText([message], root, 10_000)) ?? assert.fail()
      const needle = casemap(value)
      if (inBody) assert.ok(indexed.bodies.includes(needle))
      if (inText && !/[\r\n]/.test(value))
        assert.ok(indexed.bodies.includes(needle) || indexed.headers.includes(needle))
    },
  )
  await fc.assert(property)
})

test('the addresses of the envelope stand in it as SEARCH knows them', async () => {
  const message = Buffer.from('From: (c) "Ann B" <ann@x.example>\r\nTo: bob\r\nSender: carl @ x\r\n\r\n')
  const indexed = (await indexText([message], parseStructureOf(message), 10_000)) ?? assert.fail()
  for (const text of ['(C) "ANN B" <ANN@', '\n\n"ANN B" <ANN@X.EXAMPLE>\n<BOB@MISSING_DOMAIN>'])
    assert.ok(indexed.headers.includes(text), text)
})

test('a text that is too long is not indexed', async () => {
  const message = Buffer.from(`\r\n${'x'.repeat(1000)}`)
  const root = parseStructureOf(message)
  assert.equal(await indexText([message], root, 999), null)
  assert.equal((await indexText([message], root, 1000))?.bodies.length, 1000)
})
