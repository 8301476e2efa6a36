import assert from 'node:assert/strict'
import { test } from 'node:test'

import fc from 'fast-check'

import { BadSequenceSet, MAX_NUMBER, NumberSet, parseSequenceSet, resolveSequenceSet } from './sequence-set.ts'

const numbers = fc.array(fc.integer({ min: 1, max: 60 }))
const sorted = (items: Iterable<number>): number[] => [...new Set(items)].sort((a, b) => a - b)

test('a set of numbers behaves like a set of numbers', () => {
  fc.assert(
    fc.property(numbers, numbers, (a, b) => {
      const [left, right] = [NumberSet.from(a), NumberSet.from(b)]
      assert.deepEqual([...left], sorted(a))
      assert.deepEqual([...left.descending()], sorted(a).reverse())
      assert.equal(left.size, sorted(a).length)
      assert.deepEqual([...left.union(right)], sorted([...a, ...b]))
      assert.deepEqual([...left.intersect(right)], sorted(a.filter((number) => b.includes(number))))
      assert.deepEqual([...left.subtract(right)], sorted(a.filter((number) => !b.includes(number))))
      for (let number = 0; number <= 61; number++) {
        assert.equal(left.has(number), a.includes(number))
        assert.equal(left.rank(number), sorted(a).filter((member) => member <= number).length)
        assert.equal(left.at(number), sorted(a)[number - 1])
      }
    }),
  )
})

test('what is written is read back, whole or in pieces', () => {
  fc.assert(
    fc.property(numbers, fc.integer({ min: 1, max: 30 }), (a, maxLength) => {
      const set = NumberSet.from(a)
      assert.ok(NumberSet.parse(set.toString()).equals(set))
      assert.match(set.toString(), /^([1-9][0-9]*(:[1-9][0-9]*)?(,[1-9][0-9]*(:[1-9][0-9]*)?)*)?$/)
      assert.equal([...set.pieces(maxLength)].join(','), set.toString())
      for (const piece of set.pieces(maxLength)) assert.ok(piece.length <= maxLength || !piece.includes(','))
    }),
  )
})

test('touching and overlapping ranges become one', () => {
  assert.equal(NumberSet.parse('4:6,1:3,7,20,9:8').toString(), '1:9,20')
  assert.equal(
    NumberSet.fromRanges([
      [1, 2],
      [3, 4],
    ]).rangeCount,
    1,
  )
})

test('a range of four thousand million costs one range', () => {
  const set = NumberSet.parse(`1:${MAX_NUMBER}`)
  assert.equal(set.rangeCount, 1)
  assert.equal(set.size, MAX_NUMBER)
  assert.equal(set.at(MAX_NUMBER), MAX_NUMBER)
  assert.equal(set.subtract(NumberSet.parse('5')).toString(), `1:4,6:${MAX_NUMBER}`)
  assert.equal(set.within(10, 12).toString(), '10:12')
})

test('only numbers and ranges are sets', () => {
  for (const text of ['0', '-1', '1.5', '4294967296', '1:', ':1', '1,,2', ',', ' 1', '1:2:3', '01', 'x', '*'])
    assert.throws(() => NumberSet.parse(text), BadSequenceSet, text)
  for (const text of ['', '0', '*:', '1,*,', '$,1']) assert.throws(() => parseSequenceSet(text), BadSequenceSet, text)
})

test('* is the highest number, and a range is the same both ways round', () => {
  const resolve = (text: string, highest: number): string => {
    const set = parseSequenceSet(text)
    assert.equal(set.kind, 'ranges')
    return set.kind === 'ranges' ? resolveSequenceSet(set, highest).toString() : ''
  }
  assert.equal(resolve('2,4:7,9,12:*', 15), '2,4:7,9,12:15')
  assert.equal(resolve('*:4,7:5', 5), '4:7')
  assert.equal(resolve('559:*', 23), '23:559')
  assert.equal(resolve('*', 0), '')
  assert.deepEqual(parseSequenceSet('$'), { kind: 'saved' })
})
