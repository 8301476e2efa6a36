import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { type AddressInfo, connect } from 'node:net'
import { test, type TestContext } from 'node:test'
import { createServer } from 'node:tls'

import { SmtpError } from '@postbus/smtp'
import { Conversation, type ConversationOptions, testCertificate } from '@postbus/testkit'

import { theyLogIn } from './logins.ts'
import { startListener } from './support.ts'

const timeout = 60_000

async function open(t: TestContext, options: ConversationOptions | number): Promise<Conversation> {
  const conversation = await Conversation.open(typeof options === 'number' ? { port: options } : options)
  t.after(() => conversation.close())
  return conversation
}

/** Sends and returns the last line of each reply. */
async function say(conversation: Conversation, ...lines: string[]): Promise<string[]> {
  conversation.write(lines.map((line) => `${line}\r\n`).join(''))
  const answers: string[] = []
  for (const _ of lines) answers.push(await reply(conversation))
  return answers
}

async function reply(conversation: Conversation): Promise<string> {
  for (;;) {
    const line = await conversation.line()
    assert.ok(line !== null, 'server closed')
    if (line[3] !== '-') return line
  }
}

const toData = ['EHLO client.test', 'MAIL FROM:<a@client.test>', 'RCPT TO:<jones@example.org>', 'DATA']

test('the greeting does not wait', { timeout }, async (t) => {
  const { port } = await startListener(t)
  // Others may keep the machine busy; a greeting that waits is never in time.
  for (let waited = Infinity; waited >= 60;) {
    const client = await Conversation.open({ port })
    const started = performance.now()
    await reply(client)
    waited = performance.now() - started
    await client.close()
  }
})

test('commands in the packet of STARTTLS are never obeyed after the handshake', { timeout }, async (t) => {
  const tls = await testCertificate(t)
  const { port } = await startListener(t, { tls })
  const client = await open(t, { port, tls: { ca: tls.ca, servername: 'localhost' } })
  await reply(client)
  await say(client, 'EHLO client.test')
  client.write('STARTTLS\r\nEHLO evil.test\r\nMAIL FROM:<evil@evil.test>\r\n')
  assert.match(await reply(client), /^220 /)
  await client.startTls()
  assert.match((await say(client, 'MAIL FROM:<a@client.test>'))[0] ?? '', /^503 /, 'the injected EHLO counted')
  assert.match((await say(client, 'EHLO client.test'))[0] ?? '', /^250 /)
  assert.match((await say(client, 'MAIL FROM:<a@client.test>'))[0] ?? '', /^250 /)
})

test('replies to commands of one packet travel together', { timeout }, async (t) => {
  const { port } = await startListener(t)
  const socket = connect(port, '127.0.0.1')
  t.after(() => socket.destroy())
  await once(socket, 'data')
  socket.write('EHLO client.test\r\nMAIL FROM:<a@client.test>\r\nRCPT TO:<jones@example.org>\r\nDATA\r\n')
  const [packet] = await once(socket, 'data')
  assert.match(String(packet), /^250-[^]*\r\n250 2\.1\.0 Ok\r\n250 2\.1\.5 Ok\r\n354 .*\r\n$/)
})

test('TLS older than 1.2 is refused', { timeout }, async (t) => {
  const tls = await testCertificate(t)
  const { port } = await startListener(t, { tls, implicitTls: true })
  const old = { maxVersion: 'TLSv1.1', minVersion: 'TLSv1', ciphers: 'DEFAULT@SECLEVEL=0' } as const
  // The client could, with a server that wants to.
  const [cert, key] = await Promise.all([readFile(tls.certFile), readFile(tls.keyFile)])
  const lax = createServer({ cert, key, ...old }).listen(0, '127.0.0.1')
  t.after(() => lax.close())
  await once(lax, 'listening')
  const willing = await Conversation.open({ port: (lax.address() as AddressInfo).port, implicitTls: true, tls: old })
  await willing.close()
  await assert.rejects(Conversation.open({ port, implicitTls: true, tls: old }))
})

test('a renewed certificate is used without a restart', { timeout }, async (t) => {
  const files = await testCertificate(t)
  const tls = { ...files, pollMs: 20 }
  const { port } = await startListener(t, { tls, implicitTls: true })
  const ca = await files.renew()
  for (;;) {
    const client = await Conversation.open({ port, implicitTls: true, tls: { ca, servername: 'localhost' } }).catch(
      () => null,
    )
    if (client) return client.close()
  }
})

test('a client that goes away in the middle of a message leaves nothing behind', { timeout }, async (t) => {
  const failed = Promise.withResolvers<unknown>()
  const { port } = await startListener(
    t,
    {},
    {
      async data(_envelope, body) {
        try {
          for await (const _ of body);
        } catch (error) {
          failed.resolve(error)
          throw error
        }
        throw new Error('the body ended')
      },
    },
  )
  const client = await open(t, port)
  await reply(client)
  await say(client, ...toData)
  client.write('Subject: half\r\n\r\nhalf of it\r\n.')
  await client.close()
  assert.equal(String(await failed.promise), 'TransactionAbandoned: client gone before the end of the message')
})

test('a refusal by the handler is the answer to the data, and the session goes on', { timeout }, async (t) => {
  const { port } = await startListener(
    t,
    {},
    {
      async data() {
        throw new SmtpError(550, '5.7.1', 'Refused by policy')
      },
    },
  )
  const client = await open(t, port)
  await reply(client)
  await say(client, ...toData)
  client.write(`${'x'.repeat(998)}\r\n`.repeat(500))
  assert.deepEqual(await say(client, '.'), ['550 5.7.1 Refused by policy'])
  assert.match((await say(client, 'MAIL FROM:<a@client.test>'))[0] ?? '', /^250 /)
})

test('what we did not expect is temporary, never a 5yz', { timeout }, async (t) => {
  const broken = (): never => {
    throw new TypeError('our mistake')
  }
  const { port } = await startListener(
    t,
    {},
    { data: async () => broken(), mailFrom: ({ reversePath }) => void (reversePath === '' && broken()) },
  )
  const client = await open(t, port)
  await reply(client)
  await say(client, 'EHLO client.test')
  assert.match((await say(client, 'MAIL FROM:<>'))[0] ?? '', /^451 4\.3\.0 /)
  await say(client, ...toData)
  assert.match((await say(client, '.'))[0] ?? '', /^451 4\.3\.0 /)
})

test('a large message streams unchanged to a slow reader', { timeout }, async (t) => {
  const digests: string[] = []
  const { port } = await startListener(
    t,
    { maxMessageOctets: 64_000_000 },
    {
      async data(_envelope, body) {
        const hash = createHash('sha256')
        let chunks = 0
        for await (const chunk of body) {
          hash.update(chunk)
          if (++chunks % 10 === 0) await new Promise((resolve) => setImmediate(resolve))
        }
        digests.push(hash.digest('hex'))
        return { queueId: 'M1' }
      },
    },
  )
  const lines = Array.from(
    { length: 200_000 },
    (_, index) => `${index % 50 === 0 ? '.' : ''}line ${index} ${'y'.repeat(60)}\r\n`,
  )
  const client = await open(t, port)
  await reply(client)
  await say(client, ...toData)
  client.write(lines.map((line) => (line.startsWith('.') ? `.${line}` : line)).join(''))
  assert.match((await say(client, '.'))[0] ?? '', /^250 /)
  assert.deepEqual(digests, [createHash('sha256').update(lines.join('')).digest('hex')])
})

test('connections are bounded in total and per client, and the client is told to come back', { timeout }, async (t) => {
  const perClient = await startListener(t, { maxConnectionsPerClient: 2 })
  const first = await open(t, perClient.port)
  assert.match(await reply(first), /^220 /)
  assert.match(await reply(await open(t, perClient.port)), /^220 /)
  const refused = await open(t, perClient.port)
  assert.match(await reply(refused), /^421 4\.7\.0 /)
  assert.equal(await refused.rest(), '')
  await say(first, 'QUIT')
  await first.rest()
  await first.close()
  // The place is free when the server has seen the close.
  for (let answer = ''; !answer.startsWith('220');) answer = await reply(await open(t, perClient.port))

  const total = await startListener(t, { maxConnections: 1 })
  assert.match(await reply(await open(t, total.port)), /^220 /)
  assert.match(await reply(await open(t, total.port)), /^421 4\.7\.0 /)
})

test('nobody tries all names in one session, and whoever sends mail starts anew', { timeout }, async (t) => {
  const { port } = await startListener(t, { maxRefusedRecipients: 2 })
  const client = await open(t, port)
  await reply(client)
  const unknown = 'RCPT TO:<unknown@example.org>'
  await say(
    client,
    'EHLO client.test',
    'MAIL FROM:<a@client.test>',
    unknown,
    unknown,
    'RCPT TO:<jones@example.org>',
    'DATA',
  )
  await say(client, '.')
  const answers = await say(client, 'MAIL FROM:<a@client.test>', unknown, unknown, unknown)
  assert.deepEqual(
    answers.map((answer) => answer.slice(0, 3)),
    ['250', '550', '550', '421'],
  )
  assert.equal(await client.rest(), '')
})

test('draining ends an idle session at once and another when its message is answered', { timeout }, async (t) => {
  const listener = await startListener(t)
  const idle = await open(t, listener.port)
  await reply(idle)
  const busy = await open(t, listener.port)
  await reply(busy)
  await say(busy, ...toData)
  const closed = listener.close(10_000)
  assert.match(await reply(idle), /^421 4\.3\.2 /)
  assert.equal(await idle.rest(), '')
  busy.write('the rest of it\r\n')
  assert.match((await say(busy, '.'))[0] ?? '', /^250 /)
  assert.match(await reply(busy), /^421 4\.3\.2 /)
  await closed
  assert.equal(listener.taken.length, 1)
  await assert.rejects(Conversation.open({ port: listener.port }), /ECONNREFUSED/)
})

test('a session that does not end is cut at the deadline', { timeout }, async (t) => {
  const listener = await startListener(t)
  const busy = await open(t, listener.port)
  await reply(busy)
  await say(busy, ...toData)
  await listener.close(50)
  assert.match(await busy.rest(), /^421 4\.3\.2 /)
  assert.deepEqual(listener.taken, [])
})

test('silence ends a session, and so does a command that never ends', { timeout }, async (t) => {
  const { port } = await startListener(t, { idleTimeoutMs: 500 })
  const silent = await open(t, port)
  await reply(silent)
  assert.match(await silent.rest(), /^421 4\.4\.2 /)
  const slow = await open(t, port)
  await reply(slow)
  const drip = setInterval(() => slow.write('N'), 20)
  t.after(() => clearInterval(drip))
  assert.match(await slow.rest(), /^421 4\.4\.2 /)
})

test('a client that falls silent in the middle of AUTH is silent', { timeout }, async (t) => {
  const tls = await testCertificate(t)
  const { port } = await startListener(t, { tls, implicitTls: true, idleTimeoutMs: 1000 }, theyLogIn)
  const client = await open(t, { port, implicitTls: true, tls: { ca: tls.ca, servername: 'localhost' } })
  await reply(client)
  assert.match((await say(client, 'EHLO client.test', 'AUTH PLAIN')).at(-1) ?? '', /^334 /)
  assert.match(await client.rest(), /^421 4\.4\.2 /)
})

test('who asks for TLS and then says nothing is silent', { timeout }, async (t) => {
  const tls = await testCertificate(t)
  const { port, registry } = await startListener(t, { tls, idleTimeoutMs: 1000, handshakeTimeoutMs: 2000 })
  const client = await open(t, port)
  await reply(client)
  assert.match((await say(client, 'EHLO client.test', 'STARTTLS')).at(-1) ?? '', /^220 /)
  // Nothing is said in the clear any more.
  assert.equal(await client.rest(), '')
  while (!(await registry.metrics()).includes('mail_open_connections 0')) {
    await new Promise((resolve) => setImmediate(resolve))
  }
})

test('a client that waits for us is not timed out', { timeout }, async (t) => {
  const { port } = await startListener(
    t,
    { idleTimeoutMs: 500 },
    {
      async data(_envelope, body) {
        for await (const _ of body);
        await new Promise((resolve) => setTimeout(resolve, 1500))
        return { queueId: 'LATE' }
      },
    },
  )
  const client = await open(t, port)
  await reply(client)
  await say(client, ...toData)
  assert.deepEqual(await say(client, '.'), ['250 2.0.0 Ok: queued as LATE'])
})

test('a trusted balancer names the client, in either version of the PROXY protocol', { timeout }, async (t) => {
  const addresses: string[] = []
  const { port } = await startListener(
    t,
    { trustedProxies: ['127.0.0.0/8'] },
    {
      connect: (client) => void addresses.push(`${client.address} ${client.port}`),
    },
  )
  const v1 = await open(t, port)
  v1.write('PROXY TCP4 192.0.2.7 198.51.100.1 40000 25\r\nEHLO client.test\r\n')
  assert.match(await reply(v1), /^220 /)
  assert.match(await reply(v1), /^250 HELP/)
  const v2 = await open(t, port)
  const signature = Buffer.from('0d0a0d0a000d0a515549540a', 'hex')
  const header = Buffer.concat([
    signature,
    Buffer.from('2111000c', 'hex'),
    Buffer.from([192, 0, 2, 8, 198, 51, 100, 1, 0x9c, 0x41, 0, 25]),
  ])
  v2.write(header.subarray(0, 5))
  v2.write(header.subarray(5))
  assert.match(await reply(v2), /^220 /)
  assert.deepEqual(addresses, ['192.0.2.7 40000', '192.0.2.8 40001'])
  const none = await open(t, port)
  none.write('EHLO client.test\r\n')
  assert.equal(await none.rest(), '')
})

test('nobody else may name a client', { timeout }, async (t) => {
  const { port } = await startListener(t)
  const client = await open(t, port)
  client.write('PROXY TCP4 192.0.2.7 198.51.100.1 40000 25\r\n')
  assert.match(await reply(client), /^220 /)
  assert.match(await reply(client), /^500 /)
})

test('connections, commands, replies and messages are counted', { timeout }, async (t) => {
  const { port, registry } = await startListener(t)
  const client = await open(t, port)
  await reply(client)
  await say(client, ...toData)
  await say(client, '.')
  for (const line of [
    'mail_connections_total{outcome="accepted"} 1',
    'mail_open_connections 1',
    'mail_smtp_commands_total{verb="RCPT"} 1',
    'mail_smtp_replies_total{code="354"} 1',
    'mail_smtp_messages_total{outcome="accepted"} 1',
    'mail_smtp_accept_seconds_count 1',
  ]) {
    // Some of it behind the reply.
    while (!(await registry.metrics()).includes(line)) await new Promise((resolve) => setImmediate(resolve))
  }
})
