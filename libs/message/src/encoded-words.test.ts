import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { decodeWords } from './encoded-words.ts'

const EXAMPLES: [value: string, text: string][] = [
  // RFC 2047 §8
  ['=?US-ASCII?Q?Keith_Moore?= <moore@cs.utk.edu>', 'Keith Moore <moore@cs.utk.edu>'],
  ['=?ISO-8859-1?Q?Andr=E9?= Pirard <PIRARD@vm1.ulg.ac.be>', 'André Pirard <PIRARD@vm1.ulg.ac.be>'],
  [
    '=?ISO-8859-1?B?SWYgeW91IGNhbiByZWFkIHRoaXMgeW8=?= =?ISO-8859-2?B?dSB1bmRlcnN0YW5kIHRoZSBleGFtcGxlLg==?=',
    'If you can read this you understand the example.',
  ],
  ['(=?ISO-8859-1?Q?a?=)', '(a)'],
  ['(=?ISO-8859-1?Q?a?= b)', '(a b)'],
  ['(=?ISO-8859-1?Q?a?= =?ISO-8859-1?Q?b?=)', '(ab)'],
  ['(=?ISO-8859-1?Q?a?=  =?ISO-8859-1?Q?b?=)', '(ab)'],
  ['(=?ISO-8859-1?Q?a_b?=)', '(a b)'],
  ['(=?ISO-8859-1?Q?a?= =?ISO-8859-2?Q?_b?=)', '(a b)'],
  // RFC 2231 §5
  ['=?US-ASCII*EN?Q?Keith_Moore?=', 'Keith Moore'],
  // a character cut between two words
  ['=?utf-8?Q?=C3?= =?utf-8?Q?=BC?=', 'ü'],
  ['=?utf-8?B?w7w?= =?UTF-8?q?=C3=BC?=', 'üü'],
  ['=?iso-2022-jp?B?GyRCRnxLXBsoQg==?=', '日本'],
  ['=?shift_jis?B?k/qWew==?=', '日本'],
  // a charset nobody knows
  ['=?x-unknown?Q?a=C3=BC=E9?= =?utf-8?Q?b?=', 'aü\ufffdb'],
  [' \t=?utf-8?Q?a?= b', 'a b'],
  ['=?utf-8?Q?a=?= =?utf-8?Q?=_=4?= b', 'a== =4 b'],
  ['=?utf-8?Q?a ?=b', 'a b'],
  ['=?utf-8?X?a?=', '=?utf-8?X?a?='],
  ['=?utf-8?Q?a', '=?utf-8?Q?a'],
  ['plain =? text ?=', 'plain =? text ?='],
  ['a=?utf-8?Q?b?=c', 'abc'],
]

for (const [value, text] of EXAMPLES) {
  test(`encoded words of ${value}`, () => assert.equal(decodeWords(value), text))
}

test('any characters give a text, in time in proportion to their number', () => {
  const piece = fc.constantFrom('=?', '?=', '?', 'utf-8', 'Q', 'B', '=C3', '_', ' ', '*', 'x')
  fc.assert(fc.property(fc.array(piece, { maxLength: 40 }), (pieces) => void decodeWords(pieces.join(''))))
  const started = performance.now()
  for (const unit of ['=?', '=?a', '=?a?q?', '=?a?q?x?', '=?utf-8?q?x?= ', '=?utf-8?b?', '=?a*']) {
    decodeWords(unit.repeat((1 << 20) / unit.length))
  }
  assert.ok(performance.now() - started < 20_000)
})
