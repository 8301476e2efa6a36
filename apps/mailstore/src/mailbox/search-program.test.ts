import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { SearchKey } from '@postbus/contracts'

import { type Candidate, isRuledOut, matcher } from './search-program.ts'

const a: SearchKey = { kind: 'body', value: 'a' }
const b: SearchKey = { kind: 'text', value: 'b' }
const c: SearchKey = { kind: 'header', field: 'Subject', value: 'c' }
const small: SearchKey = { kind: 'size', is: 'smaller', octets: 10 }

/** Every program of these up to this depth. */
function programs(depth: number): SearchKey[] {
  if (depth === 0) return [a, b, c, small, { kind: 'all' }]
  const parts = programs(depth - 1)
  const pairs = parts.flatMap((one, at) => parts.slice(at).map((other) => [one, other]))
  return [
    ...parts,
    ...parts.map((key) => ({ kind: 'not' as const, key })),
    ...pairs.flatMap((keys) => [
      { kind: 'and' as const, keys },
      { kind: 'or' as const, keys },
    ]),
  ]
}

/** A message whose text has those of the values. */
const having = (values: readonly string[], size: number): Candidate => ({
  ...{ uid: 1, modseq: 1, flags: 0, keywords: new Set(), internalDate: 0, saveDate: 0, size, email: 1, sentDay: null },
  header: async ({ value }) => values.includes(value),
  body: async (value) => values.includes(value),
  text: async (value) => values.includes(value),
})

test('what is ruled out matches no message that lacks what is known to be false', async () => {
  let ruledOut = 0
  for (const key of programs(2)) {
    for (const lacking of [['a'], ['b', 'c'], ['a', 'b', 'c']]) {
      if (!isRuledOut(key, ({ value }) => lacking.includes(value))) continue
      ruledOut++
      const others = ['a', 'b', 'c'].filter((value) => !lacking.includes(value))
      for (const values of [[], others]) {
        for (const size of [1, 100]) assert.equal(await matcher(key, 0)(having(values, size)), false)
      }
    }
  }
  assert.ok(ruledOut > 100)
})

test('a conjunction is ruled out by one of its parts, a disjunction by all of them, a negation by none', () => {
  const lacksA = (part: { value: string }): boolean => part.value === 'a'
  assert.equal(isRuledOut({ kind: 'and', keys: [small, a] }, lacksA), true)
  assert.equal(isRuledOut({ kind: 'or', keys: [a, b] }, lacksA), false)
  assert.equal(isRuledOut({ kind: 'or', keys: [a, a] }, lacksA), true)
  assert.equal(isRuledOut({ kind: 'not', key: a }, lacksA), false)
})
