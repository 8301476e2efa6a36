/** Whatever comes over the wire, in whatever pieces: one reply per command in order, never a crash, never a hang. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { Conversation } from '@postbus/testkit'
import fc from 'fast-check'

import { startListener } from './support.ts'

const lines = fc.array(
  fc.constantFrom(
    'EHLO client.test',
    'HELO client.test',
    'MAIL FROM:<a@client.test>',
    'MAIL FROM:<>',
    'RCPT TO:<jones@example.org>',
    'RCPT TO:<slow@example.org>',
    'RCPT TO:<unknown@example.org>',
    'RCPT TO:<',
    'RSET',
    'NOOP',
    'VRFY x',
    'DATA now',
    'AUTH PLAIN',
    'STARTTLS',
    'BOGUS',
    '\u00ff\u0000',
    '',
    ' ',
  ),
  { maxLength: 25 },
)

function pieces(bytes: Buffer, cuts: readonly number[]): Buffer[] {
  const places = [...new Set(cuts.map((cut) => cut % (bytes.length + 1)))].sort((a, b) => a - b)
  return [0, ...places].map((from, index) => bytes.subarray(from, places[index]))
}

test('every command gets exactly one reply, however the stream is cut', { timeout: 120_000 }, async (t) => {
  const { port } = await startListener(t, { maxBadCommands: 1000, maxRefusedRecipients: 1000 })
  await fc.assert(
    fc.asyncProperty(lines, fc.array(fc.nat(600), { maxLength: 5 }), async (commands, cuts) => {
      const client = await Conversation.open({ port, timeoutMs: 30_000 })
      try {
        const stream = Buffer.from([...commands, 'QUIT', 'NOOP'].map((line) => `${line}\r\n`).join(''), 'latin1')
        for (const piece of pieces(stream, cuts)) {
          client.write(piece)
          await new Promise((resolve) => setImmediate(resolve))
        }
        const replies = (await client.rest()).split('\r\n').filter((line) => /^\d{3}( |$)/.test(line))
        assert.match(replies.at(-1) ?? '', /^221 /)
        assert.equal(replies.length, commands.length + 2) // The greeting, and QUIT; nothing behind it.
      } finally {
        await client.close()
      }
    }),
    { numRuns: 150 },
  )
})

test('arbitrary bytes neither crash nor hang the listener', { timeout: 120_000 }, async (t) => {
  const { port } = await startListener(t)
  await fc.assert(
    fc.asyncProperty(fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 6 }), async (chunks) => {
      const client = await Conversation.open({ port, timeoutMs: 30_000 })
      try {
        for (const chunk of chunks) client.write(chunk)
        client.write('\r\nQUIT\r\n')
        assert.match(await client.rest(), /(?:^|\r\n)(?:221|421) [^\r\n]*\r\n$/)
      } finally {
        await client.close()
      }
    }),
    { numRuns: 150 },
  )
  const after = await Conversation.open({ port })
  t.after(() => after.close())
  assert.match((await after.line()) ?? '', /^220 /)
})
