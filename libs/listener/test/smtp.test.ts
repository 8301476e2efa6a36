import assert from 'node:assert/strict'
import { createHash, X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'

import { playTranscript, scramClient, testCertificate } from '@postbus/testkit'

import { theyLogIn } from './logins.ts'
import { startListener, transcript } from './support.ts'

const timeout = 60_000

test('a session follows RFC 5321: order of commands, replies, what is forgotten when', { timeout }, async (t) => {
  const { port, taken } = await startListener(t)
  await playTranscript(transcript('session'), port)
  assert.deepEqual(taken, [
    {
      envelope: {
        reversePath: 'smith@example.com',
        smtputf8: false,
        recipients: [{ forwardPath: 'Jones@example.org' }],
      },
      text: 'Subject: hello\r\n\r\n.a line with a dot\r\n',
    },
  ])
})

test('parameters are checked, decoded and handed on', { timeout }, async (t) => {
  const { port, taken } = await startListener(t, { maxBadCommands: 100 })
  await playTranscript(transcript('parameters'), port)
  assert.deepEqual(taken[0]?.envelope, {
    reversePath: 'smith@example.com',
    smtputf8: false,
    size: 1_000_000,
    body: '8BITMIME',
    ret: 'HDRS',
    envid: 'QQ+1',
    recipients: [
      { forwardPath: 'Jones@Example.ORG', notify: ['SUCCESS', 'FAILURE'], orcpt: 'rfc822;J+ones@example.org' },
      { forwardPath: '"a@b"@example.org' },
      { forwardPath: 'Postmaster' },
    ],
  })
  assert.equal(taken[1]?.envelope.smtputf8, true)
})

test('pipelined commands are answered in order and recipients looked up side by side', { timeout }, async (t) => {
  const { port, taken } = await startListener(t)
  await playTranscript(transcript('pipelining'), port)
  assert.deepEqual(
    taken.map(({ envelope }) => envelope.recipients.map(({ forwardPath }) => forwardPath)),
    [['slow@example.org', 'quick@example.org']],
  )
})

test(
  'nothing but CRLF.CRLF ends a message, and a message with a bare CR or LF is refused whole',
  {
    timeout,
  },
  async (t) => {
    const { port, taken } = await startListener(t)
    await playTranscript(transcript('smuggling'), port)
    assert.deepEqual(
      taken.map(({ text }) => text),
      ['hi\r\n'],
    )
  },
)

test('bare line endings are repaired where an operator wants that, and still end nothing', { timeout }, async (t) => {
  const { port, taken } = await startListener(t, { bareLineEndings: 'repair' })
  await playTranscript(transcript('repair'), port)
  assert.deepEqual(
    taken.map(({ text }) => text),
    ['a\r\nb\r\n.\r\nc\r\nQUIT\r\n'],
  )
})

test('a bare line feed among commands ends the session before anything behind it is obeyed', { timeout }, async (t) => {
  const { port } = await startListener(t)
  await playTranscript(transcript('bare-line-feed'), port)
})

test('lines, recipients, size and mistakes are bounded', { timeout }, async (t) => {
  const { port, taken } = await startListener(t, {
    maxRecipients: 2,
    maxMessageOctets: 300_000,
    maxTextLine: 4000,
    maxBadCommands: 5,
  })
  const variables = {
    long: 'x'.repeat(5000),
    longer: 'x'.repeat(100_000),
    big: `${'x'.repeat(2000)}\r\n`.repeat(200),
  }
  await playTranscript(transcript('limits'), { port, variables })
  assert.deepEqual(taken, [])
})

test('STARTTLS forgets what came before it, and AUTH is offered only after it', { timeout }, async (t) => {
  const tls = await testCertificate(t)
  const { port } = await startListener(t, { tls, authRequired: true }, theyLogIn)
  await playTranscript(transcript('starttls'), { port, tls: { ca: tls.ca, servername: 'localhost' } })
})

test('AUTH follows RFC 4954: cancelled, malformed, refused, accepted, once', { timeout }, async (t) => {
  const tls = await testCertificate(t)
  const { port } = await startListener(t, { tls, implicitTls: true, authRequired: true }, theyLogIn)
  const variables = { long: 'x'.repeat(13_000) }
  await playTranscript(transcript('auth'), {
    port,
    variables,
    implicitTls: true,
    tls: { ca: tls.ca, servername: 'localhost' },
  })
})

const SERVER_FIRST = 'r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096'

/** What a client bound to this certificate says, and one who is bound to another. */
async function boundTo(certFile: string): Promise<Record<string, string>> {
  const { raw } = new X509Certificate(await readFile(certFile))
  const data = createHash('sha256').update(raw).digest()
  const user = { username: 'user', password: 'pencil', nonce: 'rOprNGfwEbeRWgbNEkqO' }
  const type = 'tls-server-end-point'
  const client = scramClient({ ...user, binding: { type, data } })
  const relayed = scramClient({ ...user, binding: { type, data: data.toReversed() } })
  const said = {
    ...{ first: client.first, serverFirst: SERVER_FIRST, final: client.final(SERVER_FIRST) },
    ...{ serverFinal: client.serverFinal, relayed: relayed.final(SERVER_FIRST) },
  }
  return Object.fromEntries(Object.entries(said).map(([name, text]) => [name, Buffer.from(text).toString('base64')]))
}

for (const name of ['auth-scram', 'auth-scram-plus', 'auth-bearer'])
  test(`AUTH with the mechanisms of libs/sasl: ${name}`, { timeout }, async (t) => {
    const tls = await testCertificate(t)
    const { port } = await startListener(t, { tls, authRequired: true, bearerLogin: name === 'auth-bearer' }, theyLogIn)
    const variables = await boundTo(tls.certFile)
    await playTranscript(transcript(name), { port, variables, tls: { ca: tls.ca, servername: 'localhost' } })
  })
