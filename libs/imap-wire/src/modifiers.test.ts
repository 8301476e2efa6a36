import assert from 'node:assert/strict'
import { test } from 'node:test'

import fc from 'fast-check'

import { Arguments } from './arguments.ts'
import { parseFetchModifiers, parseSelectParameters, parseUnchangedSince } from './modifiers.ts'
import { parsePartialRange, partOf } from './partial-range.ts'
import { parseSearch } from './search-program.ts'
import { parseSearchReturn } from './search-return.ts'
import { NumberSet } from './sequence-set.ts'
import { ImapSyntaxError } from './syntax-error.ts'

/** Reads all of it. */
function read<Parsed>(text: string, parse: (args: Arguments) => Parsed): Parsed {
  const args = new Arguments({ lines: [text], literals: [] })
  const parsed = parse(args)
  args.end()
  return parsed
}

function refused(parse: (args: Arguments) => unknown, ...texts: string[]): void {
  for (const text of texts) assert.throws(() => read(text, parse), ImapSyntaxError, text)
}

test('SELECT: what a client still knows, in every form it may have', () => {
  assert.deepEqual(read('', parseSelectParameters), { condstore: false })
  assert.deepEqual(read(' (CONDSTORE)', parseSelectParameters), { condstore: true })
  const known = (text: string) => {
    const { uids, ...state } = read(` (QRESYNC (${text}))`, parseSelectParameters).qresync ?? assert.fail()
    return [state.uidValidity, state.modseq, uids?.toString()]
  }
  assert.deepEqual(known('67890007 715194045007'), [67890007, 715194045007, undefined])
  assert.deepEqual(known('1 2 41,43:211,214:541'), [1, 2, '41,43:211,214:541'])
  assert.deepEqual(known('1 2 41:211 (1,3:4 41,43:44)'), [1, 2, '41:211'])
  assert.deepEqual(known('1 2 (1:3 41:43)'), [1, 2, undefined])
  const inList = (parameters: string) => ` (QRESYNC ${parameters})`
  refused(parseSelectParameters, ...['(1)', '(1 x)', '1 2', '(1 2 1:*)', '(1 2 $)', '(1 2 3 (1:2 4))'].map(inList))
  refused(parseSelectParameters, ' CONDSTORE', ' (CONDSTORE', ' (constructor)', ' ((CONDSTORE))', '(CONDSTORE)')
})

test('FETCH and STORE: modifiers in any order, and none', () => {
  assert.deepEqual(read('', parseFetchModifiers), { vanished: false })
  assert.deepEqual(read(' ()', parseFetchModifiers), { vanished: false })
  assert.deepEqual(read(' (VANISHED CHANGEDSINCE 7)', parseFetchModifiers), { vanished: true, changedSince: 7 })
  const { partial } = read(' (PARTIAL -2:-1 CHANGEDSINCE 7)', parseFetchModifiers)
  assert.deepEqual(partial, { low: 1, high: 2, fromEnd: true, text: '-2:-1' })
  assert.equal(read('(UNCHANGEDSINCE 7) ', parseUnchangedSince), 7)
  assert.equal(read('() ', parseUnchangedSince), undefined)
  refused(parseFetchModifiers, ' (CHANGEDSINCE)', ' (CHANGEDSINCE -1)', ' (UNCHANGEDSINCE 1)', ' CHANGEDSINCE 1')
})

test('a mod-sequence has 63 bits; above what is exact here it is above all there are', () => {
  const modseq = (text: string) => read(`(UNCHANGEDSINCE ${text}) `, parseUnchangedSince)
  assert.equal(modseq('9007199254740991'), Number.MAX_SAFE_INTEGER)
  assert.equal(modseq('9223372036854775807'), Number.MAX_SAFE_INTEGER)
  refused(parseUnchangedSince, '(UNCHANGEDSINCE 9223372036854775808) ', '(UNCHANGEDSINCE 00000000000000000001) ')
})

test('a part is what slicing the list of all members gives', () => {
  const set = fc.uniqueArray(fc.integer({ min: 1, max: 60 }), { maxLength: 30 })
  const bound = fc.integer({ min: 1, max: 40 })
  fc.assert(
    fc.property(set, bound, bound, fc.boolean(), (members, one, other, fromEnd) => {
      const sign = fromEnd ? '-' : ''
      const range = read(`${sign}${one}:${sign}${other}`, parsePartialRange)
      const sorted = members.toSorted((a, b) => a - b)
      const [low, high] = [Math.min(one, other), Math.max(one, other)]
      const expected = fromEnd
        ? sorted.slice(Math.max(0, sorted.length - high), Math.max(0, sorted.length - low + 1))
        : sorted.slice(low - 1, high)
      assert.deepEqual([...partOf(NumberSet.from(members), range)], expected)
    }),
  )
  refused(parsePartialRange, '0:1', '1:-1', '-1:1', '1', '1:*', '1:4294967296', '1:99999999999')
})

test('SEARCH: what is to be returned, and the keys of the extensions', () => {
  const options = read('RETURN (min Max SAVE) ', parseSearchReturn)
  assert.deepEqual(options, { min: true, max: true, all: false, count: false, save: true })
  assert.equal(read('RETURN () ', parseSearchReturn)?.all, true)
  assert.equal(read('', parseSearchReturn), undefined)
  refused(parseSearchReturn, 'RETURN (ALL PARTIAL 1:2) ', 'RETURN (toString) ', 'RETURN (ALL)', 'RETURN ALL ')
  const program = (text: string) => read(text, parseSearch).program
  assert.deepEqual(program('MODSEQ "/flags/\\\\draft" all 620162338'), { kind: 'modseq', modseq: 620162338 })
  assert.deepEqual(program('OLDER 60'), { kind: 'within', is: 'older', seconds: 60 })
  assert.deepEqual(program('SAVEDON 28-Dec-2014'), { kind: 'date', of: 'saved', is: 'on', date: '2014-12-28' })
  assert.deepEqual(program('EMAILID M6d99ac3275bb4e'), { kind: 'emailId', id: 'M6d99ac3275bb4e' })
  assert.deepEqual(program('SAVEDATESUPPORTED'), { kind: 'all' })
  refused(parseSearch, 'MODSEQ', 'MODSEQ "/flags/x" 1', 'OLDER 0', 'YOUNGER 1d', 'EMAILID ""', 'THREADID a.b')
})
