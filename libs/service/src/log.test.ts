import assert from 'node:assert/strict'
import { test } from 'node:test'

import { createLog } from './log.ts'

test('passwords, tokens and keys do not reach the log, at the top of a line or one level below', () => {
  const lines: string[] = []
  const log = createLog('test', 'info', { write: (line) => void lines.push(line) })
  log.info({ password: 'hunter2', login: { token: 'hunter2', username: 'smith' }, nkeySeed: 'hunter2' }, 'login')
  assert.doesNotMatch(lines.join(''), /hunter2/)
  const line: unknown = JSON.parse(lines[0] ?? '')
  assert.ok(typeof line === 'object' && line !== null && 'login' in line)
  assert.deepEqual(line.login, { token: '(hidden)', username: 'smith' })
})
