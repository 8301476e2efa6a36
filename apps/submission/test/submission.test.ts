import assert from 'node:assert/strict'
import { test } from 'node:test'

import { playTranscript } from '@postbus/testkit'

import { startSubmission, transcript, unreachable } from './support.ts'

const timeout = 60_000

test('a message is taken from its account over STARTTLS, and what was missing is added', { timeout }, async (t) => {
  const { port, ca, taken, spent, pauses } = await startSubmission(t)
  await playTranscript(transcript('submit'), { port, tls: { ca, servername: 'localhost' } })
  assert.deepEqual(
    taken.map(({ client: { tls, ...client }, ...facts }) => ({ ...facts, client, version: tls?.version })),
    [
      {
        origin: 'submission',
        account: 'a0000001',
        envelope: {
          reversePath: 'jones@example.org',
          recipients: [{ forwardPath: 'smith@far.test' }],
          smtputf8: false,
          requireTls: false,
        },
        client: { address: '127.0.0.1', helo: 'client.test', hostname: null, protocol: 'ESMTPSA' },
        version: 'TLSv1.3',
        text: [
          'Date: Mon, 05 Jan 2026 10:00:00 +0000',
          'Message-ID: <unique@example.org>',
          'From: Jones <jones@example.org>',
          'Subject: hello',
          '',
          'hi',
          '',
        ].join('\r\n'),
      },
    ],
  )
  assert.deepEqual(spent, [1])
  assert.deepEqual(pauses, [1234])
})

test('nobody writes in the name of another, and what is there is not touched', { timeout }, async (t) => {
  const { port, ca, taken, spent } = await startSubmission(t, {}, true)
  await playTranscript(transcript('authors'), { port, implicitTls: true, tls: { ca, servername: 'localhost' } })
  assert.deepEqual(
    taken.map(({ envelope, text }) => [envelope.reversePath, text.split('\r\n').length]),
    [['', 5]],
  )
  assert.deepEqual(spent, [1], 'what is refused counts nothing')
})

test('an account over its limit is told to try again later', { timeout }, async (t) => {
  const { port, ca, taken } = await startSubmission(t, { spend: async () => 90_000 }, true)
  await playTranscript(transcript('limit'), { port, implicitTls: true, tls: { ca, servername: 'localhost' } })
  assert.deepEqual(taken, [])
})

test('a message for which no hour is long enough is refused for good', { timeout }, async (t) => {
  const { port, ca, taken } = await startSubmission(t, { spend: async () => Infinity }, true)
  await playTranscript(transcript('limit-never'), { port, implicitTls: true, tls: { ca, servername: 'localhost' } })
  assert.deepEqual(taken, [])
})

test('a directory that does not answer is temporary at every step', { timeout }, async (t) => {
  const down = (): Promise<never> => Promise.reject(new Error('nobody answers'))
  const { port, ca } = await startSubmission(t, { deniedSenders: down, verifier: () => unreachable }, true)
  await playTranscript(transcript('directory-down'), { port, implicitTls: true, tls: { ca, servername: 'localhost' } })
})
