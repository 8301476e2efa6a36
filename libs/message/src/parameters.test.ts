import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  decodeParameter,
  parseContentType,
  parseDisposition,
  parseLanguages,
  parseTransferEncoding,
} from './parameters.ts'

const params = (value: string): [string, string][] => parseContentType(`x/y; ${value}`).params

test('content types as in RFC 2045 §5.1', () => {
  const plain = { type: 'text', subtype: 'plain', params: [['charset', 'us-ascii']] }
  assert.deepEqual(parseContentType('text/plain; charset=us-ascii (Plain text)'), plain)
  assert.deepEqual(parseContentType('text/plain; charset="us-ascii"'), plain)
  assert.deepEqual(parseContentType(''), { type: '', subtype: '', params: [] })
  assert.deepEqual(parseContentType('text'), { type: 'text', subtype: '', params: [] })
  assert.deepEqual(parseContentType('text/plain charset=us-ascii'), { type: '', subtype: '', params: [] })
})

test('continuations and charsets as in RFC 2231 §3 and §4', () => {
  assert.deepEqual(params('URL*0="ftp://";\tURL*1="cs.utk.edu/pub/moore/bulk-mailer/bulk-mailer.tar"'), [
    ['URL', 'ftp://cs.utk.edu/pub/moore/bulk-mailer/bulk-mailer.tar'],
  ])
  const title = parseContentType("application/x-stuff; title*=us-ascii'en-us'This%20is%20%2A%2A%2Afun%2A%2A%2A")
  assert.equal(decodeParameter(title.params, 'title'), 'This is ***fun***')
  const mixed = parseContentType(
    "application/x-stuff; title*0*=us-ascii'en'This%20is%20even%20more%20; title*1*=%2A%2A%2Afun%2A%2A%2A%20; title*2=\"isn't it!\"",
  )
  assert.deepEqual(mixed.params, [
    ['title*', "us-ascii'en'This%20is%20even%20more%20%2A%2A%2Afun%2A%2A%2A%20isn't it!"],
  ])
  assert.equal(decodeParameter(mixed.params, 'Title'), "This is even more ***fun*** isn't it!")
})

test('segments that are not joined are shown by their numbers', () => {
  assert.deepEqual(params("n*=us-ascii''a; n*0=b; n*02=c"), [
    ['n*0*', "us-ascii''a"],
    ['n*0', 'b'],
    ['n*2', 'c'],
  ])
})

test('a plain segment between extended ones keeps its percent signs', () => {
  const { params } = parseContentType('x/y; n*0*=utf-8\'\'a%20; n*1="100%25"')
  assert.equal(decodeParameter(params, 'n'), 'a 100%25')
})

test('an extended parameter in another charset is decoded, the plain one is the fallback', () => {
  assert.equal(decodeParameter(params("n=plain; n*=iso-8859-1''gr%FC%DFe"), 'n'), 'grüße')
  assert.equal(decodeParameter(params('n=plain'), 'N'), 'plain')
  assert.equal(decodeParameter(params('n=plain'), 'other'), undefined)
})

test('dispositions as in RFC 2183', () => {
  assert.deepEqual(
    parseDisposition('attachment; filename=genome.jpeg; modification-date="Wed, 12 Feb 1997 16:29:51 -0500"'),
    {
      type: 'attachment',
      params: [
        ['filename', 'genome.jpeg'],
        ['modification-date', 'Wed, 12 Feb 1997 16:29:51 -0500'],
      ],
    },
  )
})

test('transfer encodings are one token, languages a list of them', () => {
  assert.equal(parseTransferEncoding(' (a) BASE64 (b)'), 'BASE64')
  assert.equal(parseTransferEncoding('base64 x'), undefined)
  assert.equal(parseTransferEncoding(''), undefined)
  assert.deepEqual(parseLanguages('i-mingo (Mingo), de , en-US'), ['i-mingo', 'de', 'en-US'])
  assert.deepEqual(parseLanguages('en/de, =?utf-8?q?fr?=, "it", es'), ['en/de', '=?utf-8?q?fr?='])
  assert.deepEqual(parseLanguages('en, de (open'), ['en'])
})

test('any characters give a value', () => {
  const piece = fc.constantFrom('a', '*', '0', '1', ';', '=', '"', "'", '%', ' ', '(', ')', '/', '\\', '=?', '\xff')
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 40 }), (pieces) => {
      const value = pieces.join('')
      for (const [name] of parseContentType(`a/b${value}`).params) decodeParameter(parseContentType(value).params, name)
      parseDisposition(value)
    }),
    { numRuns: 2000 },
  )
})

test('a megabyte of parameters is cut at the limit and takes time in proportion to its size', () => {
  const started = performance.now()
  for (const unit of ['; a*0=b', ';', '; a="', '; a=(', '; a', '; a*1*=%', '=']) {
    assert.ok(params(unit.repeat((1 << 20) / unit.length)).length <= 1000)
  }
  assert.ok(performance.now() - started < 10_000)
})
