import assert from 'node:assert/strict'
import { test } from 'node:test'

import { Gate } from './gate.ts'

test('many failures of one outage close the gate once', () => {
  const closings: number[] = []
  const gate = new Gate((ms) => closings.push(ms))
  for (let n = 0; n < 64; n++) gate.failed()
  assert.equal(closings.length, 1)
  assert.ok(closings.every((ms) => ms >= 80 && ms <= 100))
  assert.equal(gate.open, false)
})

test('a success opens the gate and forgets the outage', async () => {
  const closings: number[] = []
  const gate = new Gate((ms) => closings.push(ms))
  gate.failed()
  gate.succeeded()
  assert.equal(gate.open, true)
  gate.failed()
  assert.ok((closings[1] ?? Infinity) <= 100)
})

test('whoever waits at a closed gate is let go by an abort', async () => {
  const gate = new Gate(() => undefined)
  gate.failed()
  await gate.passed(AbortSignal.abort())
})
