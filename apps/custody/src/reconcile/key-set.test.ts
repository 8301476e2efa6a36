import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'

import { KeySet } from './key-set.ts'

const key = (index: number): string => {
  const hash = createHash('sha256').update(String(index)).digest('hex')
  return `01J${hash.slice(0, 23).toUpperCase()}.${hash.slice(24, 40)}`
}

test('every key is found, and of a hundred thousand others none', () => {
  const keys = new KeySet()
  for (let index = 0; index < 100_000; index++) keys.add(key(index))
  keys.freeze()
  assert.equal(keys.size, 100_000)
  for (let index = 0; index < 100_000; index++) assert.ok(keys.has(key(index)), key(index))
  for (let index = 100_000; index < 200_000; index++) assert.ok(!keys.has(key(index)), key(index))
})

test('keys that differ in one character only are different keys', () => {
  const keys = new KeySet()
  const base = key(1)
  const near = Array.from(base, (_, at) => `${base.slice(0, at)}~${base.slice(at + 1)}`)
  keys.add(base)
  keys.freeze()
  assert.ok(keys.has(base))
  for (const other of near) assert.ok(!keys.has(other), other)
})

test('an empty set has nothing', () => {
  const keys = new KeySet()
  keys.freeze()
  assert.equal(keys.has('a'), false)
})
