import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { Verdict, Verifier } from '@postbus/sasl'
import { SmtpError } from '@postbus/smtp'

import { logIn, type Login } from './log-in.ts'

const jones: Login = { account: 'a0000001', address: 'jones@example.org' }
const { signal } = new AbortController()
const nobody = (): Promise<never> => Promise.reject(new Error('nobody asked'))
const unasked: Verifier<Login> = { password: nobody, scramStart: nobody, scramFinish: nobody, bearer: nobody }

async function outcome(answer: () => Promise<Verdict<Login>>): Promise<[string, number[]]> {
  const pauses: number[] = []
  const ports = { verifier: () => unasked, pause: async (ms: number) => void pauses.push(ms) }
  try {
    return [(await logIn(answer, { address: '192.0.2.1', signal }, ports)).account, pauses]
  } catch (error) {
    assert.ok(error instanceof SmtpError)
    return [`${error.code} ${error.status}`, pauses]
  }
}

test('who is accepted is let in at once', async () => {
  assert.deepEqual(await outcome(async () => ({ kind: 'accepted', granted: jones })), ['a0000001', []])
})

test('who is refused waits before it is said', async () => {
  assert.deepEqual(await outcome(async () => ({ kind: 'refused', delayMs: 2000 })), ['535 5.7.8', [2000]])
})

test('throttled, or a directory that does not answer, is no wrong password', async () => {
  assert.deepEqual(await outcome(async () => ({ kind: 'throttled', retryAfterMs: 1000 })), ['454 4.7.0', []])
  assert.deepEqual(await outcome(() => Promise.reject(new Error('down'))), ['454 4.7.0', []])
})

test('what the client said wrong is answered as such', async () => {
  const malformed = new SmtpError(501, '5.5.2', 'The response is not PLAIN')
  assert.deepEqual(await outcome(() => Promise.reject(malformed)), ['501 5.5.2', []])
})
