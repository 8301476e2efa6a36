import assert from 'node:assert/strict'
import { test } from 'node:test'

import { askedKeys } from './asked-keys.ts'

function world() {
  const questions: { id: number; domains: readonly string[] }[] = []
  const keys = askedKeys((id, domains) => void questions.push({ id, domains }))
  return { questions, keys }
}

test('what was said of domains a moment ago is not asked for again', async () => {
  const { questions, keys } = world()
  const both = [keys.keysOf(['a.example']), keys.keysOf(['a.example'])]
  assert.deepEqual(questions, [{ id: 1, domains: ['a.example'] }])
  keys.answered(1, [])
  assert.deepEqual(await Promise.all(both), [[], []])
  await keys.keysOf(['a.example'])
  assert.equal(questions.length, 1)
})

test('after a change all of it is asked for again, also what was not answered yet', () => {
  const { questions, keys } = world()
  void keys.keysOf(['a.example'])
  keys.noteGeneration(1)
  assert.equal(keys.generation(), 1)
  void keys.keysOf(['a.example'])
  keys.noteGeneration(1)
  void keys.keysOf(['a.example'])
  assert.equal(questions.length, 2)
})

test('that nobody could say is not remembered', async () => {
  const { questions, keys } = world()
  const first = keys.keysOf(['a.example'])
  keys.answered(1, new Error('cannot say'))
  await assert.rejects(first, /cannot say/)
  const second = keys.keysOf(['a.example'])
  keys.answered(2, [])
  assert.deepEqual(await second, [])
  assert.equal(questions.length, 2)
})
