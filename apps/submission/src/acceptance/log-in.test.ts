import assert from 'node:assert/strict'
import { test } from 'node:test'

import { SmtpError } from '@postbus/smtp'

import { logIn, type LoginAnswer } from './log-in.ts'

const claim = { username: 'jones@example.org', password: 'secret', clientAddress: '192.0.2.1' }
const { signal } = new AbortController()

async function outcome(answer: () => Promise<LoginAnswer>): Promise<[string, number[]]> {
  const pauses: number[] = []
  const ports = { authenticate: answer, pause: async (ms: number) => void pauses.push(ms) }
  try {
    return [(await logIn(claim, signal, ports)).account, pauses]
  } catch (error) {
    assert.ok(error instanceof SmtpError)
    return [`${error.code} ${error.status}`, pauses]
  }
}

test('who is accepted is let in at once', async () => {
  assert.deepEqual(await outcome(async () => ({ kind: 'accepted', account: 'a0000001', address: claim.username })), [
    'a0000001',
    [],
  ])
})

test('who is refused waits before it is said', async () => {
  assert.deepEqual(await outcome(async () => ({ kind: 'refused', delayMs: 2000 })), ['535 5.7.8', [2000]])
})

test('throttled, or a directory that does not answer, is no wrong password', async () => {
  assert.deepEqual(await outcome(async () => ({ kind: 'throttled' })), ['454 4.7.0', []])
  assert.deepEqual(await outcome(() => Promise.reject(new Error('down'))), ['454 4.7.0', []])
})
