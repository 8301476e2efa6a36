import assert from 'node:assert/strict'
import { test } from 'node:test'

import { generatedPassword } from './generated-password.ts'

test('a generated password can be pasted anywhere, and every letter has the same chance', () => {
  const all = Array.from({ length: 2000 }, generatedPassword)
  for (const password of all) assert.match(password, /^[a-km-np-z2-9]{20}$/)
  assert.equal(new Set(all).size, all.length)
  assert.equal(new Set(all.join('')).size, 32)
})
