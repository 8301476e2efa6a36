import assert from 'node:assert/strict'
import { test } from 'node:test'

import { stopLoop } from './loop.ts'

const header = (hops: number): Buffer =>
  Buffer.from(`${'RECEIVED: from a\r\n by b\r\n'.repeat(hops)}Subject: Received: x\r\n\r\n`)

test('one hop too many is a loop', () => {
  stopLoop(header(100), 100)
  assert.throws(() => stopLoop(header(101), 100), { code: 554, status: '5.4.6' })
})
