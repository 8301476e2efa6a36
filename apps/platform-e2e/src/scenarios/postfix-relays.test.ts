/** Postfix as the neighbour: what it relays to port 25 is in the mailbox once, byte for byte; what we refuse, it bounces. */
import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { test } from 'node:test'

import { createTransport } from 'nodemailer'

import { messages } from '../mailboxes.ts'
import { startPlatform, until } from '../platform.ts'
import { addAccounts } from '../postbus.ts'
import { relayingPostfix } from '../postfix.ts'
import { assertIntact, base64Lines, samples } from '../samples.ts'

const COUNT = process.env['POSTBUS_TEST_LONG'] === '1' ? 1000 : 200
const SESSIONS = 4

const digest = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex')
/** What follows the header: Postfix writes trace fields of its own in front. */
const body = (message: Buffer): Buffer => message.subarray(message.indexOf('\r\n\r\n') + 4)

test('Postfix relays a domain to us', async (t) => {
  const platform = await startPlatform(t)
  const ready = platform.ready()
  const { crowd, few } = await addAccounts(ready, ['crowd', 'few'])
  const postfix = await relayingPostfix(t, 'example.org', { host: ready.host, port: ready.ports['mx'] ?? 0 })
  const transport = createTransport({
    host: '127.0.0.1',
    port: postfix.port,
    pool: true,
    maxConnections: SESSIONS,
    ignoreTLS: true,
  })
  t.after(() => transport.close())
  const send = (to: string, raw: Buffer) =>
    transport.sendMail({ envelope: { from: 'writer@example.com', to, use8BitMime: true }, raw })

  await t.test(`${COUNT} messages: all in the mailbox, none twice, bodies byte-identical`, async () => {
    const bodies = Array.from({ length: COUNT }, (_, index) =>
      Buffer.from(`.${index}\r\n..\r\n${base64Lines(randomBytes((index % 50) * 100))}Grüße\r\n`),
    )
    const startedAt = Date.now()
    await Promise.all(
      bodies.map((bytes, index) => {
        const head =
          `From: writer@example.com\r\nTo: ${crowd.address}\r\nSubject: ${index}\r\nDate: Tue, 24 Nov 2026 03:00:00 +0000\r\n` +
          `Message-ID: <${index}@relay.example.com>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n` +
          'Content-Transfer-Encoding: 8bit\r\n\r\n'
        return send(crowd.address, Buffer.concat([Buffer.from(head), bytes]))
      }),
    )
    const arrived = await messages(ready, crowd, COUNT)
    t.diagnostic(`${arrived.length} messages through Postfix in ${Date.now() - startedAt} ms`)
    assert.equal(arrived.length, COUNT)
    assert.deepEqual(arrived.map((message) => digest(body(message))).toSorted(), bodies.map(digest).toSorted())
  })

  await t.test('every sample arrives with every byte', async () => {
    const sent = samples()
    await Promise.all(sent.map(({ bytes }) => send(few.address, bytes)))
    assertIntact(await messages(ready, few, sent.length), sent)
  })

  await t.test('a recipient we do not know is bounced by Postfix, with our words', async () => {
    await send('nobody@example.org', samples()[0]?.bytes ?? assert.fail())
    const bounced = /to=<nobody@example\.org>.*dsn=5\.1\.1, status=bounced \(host .* said: 550 5\.1\.1 .*RCPT TO/
    await until(
      async () => bounced.test(await postfix.log()),
      60_000,
      () => 'no bounce in the log of Postfix',
    )
  })
})
