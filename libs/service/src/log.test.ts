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

test('secrets do not reach the log through what a logger always says, or through an error', () => {
  const lines: string[] = []
  const log = createLog('test', 'info', { write: (line) => void lines.push(line) })
  const error = Object.assign(new Error('refused', { cause: new Error('why') }), { code: 'EAUTH', password: 'hunter2' })
  log.child({ session: { token: 'hunter2' }, secret: 'hunter2' }).warn({ err: error, other: error }, 'login')
  log.error(error)
  assert.doesNotMatch(lines.join(''), /hunter2/)
  for (const line of lines) {
    const { err }: { err: { message: string; stack: string; code: string } } = JSON.parse(line)
    assert.match(err.message, /^refused/)
    assert.match(err.stack, /log\.test/)
    assert.equal(err.code, 'EAUTH')
  }
})

test('what is logged is not changed by it', () => {
  const log = createLog('test', 'info', { write: () => undefined })
  const login = { token: 'hunter2' }
  const fields = { password: 'hunter2', login }
  log.info(fields, 'login')
  assert.deepEqual(fields, { password: 'hunter2', login: { token: 'hunter2' } })
})
