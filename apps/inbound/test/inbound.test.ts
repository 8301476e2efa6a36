import assert from 'node:assert/strict'
import { test } from 'node:test'

import { replies } from '@postbus/smtp'
import { Conversation, playTranscript } from '@postbus/testkit'

import { startInbound, transcript } from './support.ts'

const timeout = 60_000

/** Plays one client's lines and returns what answered the last one. */
async function converse(port: number, ...lines: string[]): Promise<string> {
  const client = await Conversation.open({ port })
  try {
    let answer = ''
    for (const line of ['', ...lines]) {
      if (line !== '') client.write(`${line}\r\n`)
      do answer = (await client.line()) ?? 'closed'
      while (answer[3] === '-')
    }
    return answer
  } finally {
    await client.close()
  }
}

const toData = ['EHLO example.com', 'MAIL FROM:<smith@example.com>', 'RCPT TO:<jones@example.org>', 'DATA']

test('the dialogue of RFC 5321', { timeout }, async (t) => {
  const { port, taken } = await startInbound(t)
  await playTranscript(transcript('rfc5321-dialogue'), port)
  assert.deepEqual(taken, [
    {
      origin: 'inbound',
      envelope: {
        reversePath: 'Smith@example.com',
        recipients: [{ forwardPath: 'Jones@example.org' }, { forwardPath: 'Brown@example.org' }],
        smtputf8: false,
        requireTls: false,
      },
      client: {
        address: '127.0.0.1',
        helo: 'example.com',
        hostname: 'client.example.com',
        tls: null,
        protocol: 'ESMTP',
      },
      text: 'Blah blah blah...\r\n..etc. etc. etc.\r\n',
    },
  ])
})

test('no address makes us relay, and the spelling of ours stays', { timeout }, async (t) => {
  const { port, taken } = await startInbound(t)
  await playTranscript(transcript('never-a-relay'), port)
  assert.deepEqual(
    taken.map(({ envelope }) => envelope.recipients.map(({ forwardPath }) => forwardPath)),
    [['Jones@Example.ORG', 'PostMaster']],
  )
})

test('a directory that does not answer is a 451, never a 550', { timeout }, async (t) => {
  const { port } = await startInbound(t, { findRecipient: () => Promise.reject(new Error('nobody answers')) })
  assert.match(await converse(port, ...toData.slice(0, 3)), /^451 4\.4\.3 /)
})

test('when there is no room the next MAIL is told so', { timeout }, async (t) => {
  const { port, closeGate } = await startInbound(t)
  closeGate(replies.systemFull())
  assert.match(await converse(port, ...toData.slice(0, 2)), /^452 4\.3\.1 /)
  closeGate(null)
  assert.match(await converse(port, ...toData.slice(0, 2)), /^250 /)
})

test('a slow name of the client holds up neither the greeting nor a recipient', { timeout }, async (t) => {
  const { promise, resolve } = Promise.withResolvers<string | null>()
  const { port, taken } = await startInbound(t, { reverseName: () => promise })
  const client = await Conversation.open({ port })
  t.after(() => client.close())
  assert.match((await client.line()) ?? '', /^220 /)
  client.write(`${toData.join('\r\n')}\r\n`)
  for (let answer = ''; !answer.startsWith('354');) answer = (await client.line()) ?? assert.fail('closed')
  client.write('Subject: x\r\n\r\n.\r\n')
  resolve('late.example.com')
  assert.match((await client.line()) ?? '', /^250 /)
  assert.equal(taken[0]?.client.hostname, 'late.example.com')
})
