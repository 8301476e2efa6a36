import assert from 'node:assert/strict'
import { test } from 'node:test'

import { SubmitterTurns } from './submitter-turns.ts'

interface Item {
  name: string
}

function turns(...names: string[]) {
  const items = names.map((name) => ({ name }))
  const all = new SubmitterTurns<Item>()
  for (const item of items) {
    all.announce(item.name[0] ?? '')
    all.add(item.name[0] ?? '', item)
  }
  return { all, items, names: (of: Iterable<Item>) => [...of].map(({ name }) => name).join(' ') }
}

test('submitters take turns, each in its own order', () => {
  const { all, names } = turns('a1', 'a2', 'a3', 'b1', 'c1', 'c2')
  assert.equal(names(all.all()), 'a1 b1 c1 a2 c2 a3')
  assert.equal(all.empty, true)
})

test('what was taken back has no turn, and its submitter no place in the round', () => {
  const { all, items, names } = turns('a1', 'b1', 'b2', 'c1')
  for (const item of items) if (item.name === 'b1' || item.name === 'c1') all.remove(item)
  assert.equal(all.size, 2)
  assert.equal(names(all.all()), 'a1 b2')
})

test('how many come before another one is bounded by the round and by all there are', () => {
  const { all } = turns('a1', 'a2', 'a3', 'a4', 'b1')
  assert.deepEqual([all.ahead('a'), all.ahead('b'), all.ahead('c')], [5, 3, 2])
  all.announce('d')
  assert.deepEqual([all.ahead('a'), all.ahead('d')], [6, 5])
})

test('what is too much is taken from the end of those who have most, and of the round when all have one', () => {
  const some = turns('a1', 'a2', 'a3', 'a4', 'b1')
  assert.equal(some.names(some.all.beyond(4)), 'a4 a3')
  assert.equal(some.names(some.all.all()), 'a1 b1 a2')
  const each = turns('a1', 'b1', 'c1', 'd1')
  assert.equal(each.names(each.all.beyond(2)), 'd1 c1')
  assert.equal(each.names(each.all.all()), 'a1 b1')
})
