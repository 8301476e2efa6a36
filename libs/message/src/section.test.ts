import assert from 'node:assert/strict'
import { test } from 'node:test'

import fc from 'fast-check'

import { fieldCutter, selectFields } from './section.ts'

/** What headers are made of, whole and in pieces: any octet may stand anywhere. */
const PIECES = [
  ...[
    'From',
    'from',
    'FROM',
    'fro',
    'X-From',
    'To',
    'tO',
    'X.*',
    'X-A',
    'Subject: x\r\n',
    'To: a\r\n\tb\r\n',
    'From:\n',
  ],
  ...[
    ':',
    ' ',
    '\t',
    '\r',
    '\n',
    '\r\n',
    '\r\n ',
    '\n\t',
    '\r\n\r\n',
    '\n\n',
    '\0',
    '\xc9',
    '\xe9',
    '\x85',
    '\xa0',
    'k',
    'ss',
    '.',
  ],
]
const header = fc.array(fc.constantFrom(...PIECES), { maxLength: 24 }).map((pieces) => pieces.join(''))
const names = fc.array(fc.constantFrom('from', 'To', 'TO', 'SUBJECT', 'X-a', 'x.*', 'k', 'fro', 'ss'), {
  minLength: 1,
  maxLength: 4,
})

const selected = (header: string, names: readonly string[], not: boolean): string =>
  Buffer.concat(selectFields(Buffer.from(header, 'latin1'), names, not)).toString('latin1')

test('fields are cut out of a text as they are out of octets, whatever the header', () => {
  fc.assert(
    fc.property(fc.array(header, { maxLength: 4 }), names, fc.boolean(), (headers, names, not) => {
      const cut = fieldCutter(names, not)
      for (const header of headers) assert.equal(cut?.(header), selected(header, names, not))
    }),
    { numRuns: 3000 },
  )
})

test('what can be no name of a field, or is too much, is not cut out of a text', () => {
  const many = Array.from({ length: 500 }, (_, at) => `X-Field-${at}`)
  for (const names of [[], [''], ['from', 'a:b'], ['a b'], ['é'], ['\u212a'], ['a\n'], many])
    assert.equal(fieldCutter(names, false), undefined)
})

test('a header of nothing but lines, folds or blanks is cut in the time its length takes', () => {
  const long = 1024 * 1024
  for (const line of ['a\n', 'to:\n', 'to:\na\n', '\r', '\n '].map((piece) => piece.repeat(long / piece.length)))
    for (const start of ['', 'to', 'to:', 'a: '])
      for (const not of [true, false]) {
        const header = start + line
        assert.equal(fieldCutter(['to', 'from'], not)?.(header), selected(header, ['to', 'from'], not))
      }
  const blanks = `to${' '.repeat(long)}`
  assert.equal(fieldCutter(['to'], true)?.(blanks), blanks)
})
