/** The protocol through its front door, over a maildrop in memory. */
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'

import { connectionMetrics, listenTcp } from '@postbus/listener'
import { Conversation, playTranscript, testCertificate } from '@postbus/testkit'
import { pino } from 'pino'
import { Registry } from 'prom-client'

import { serve, type ConnectionOptions } from '../src/connection.ts'
import { Maildrop, type MaildropPorts } from '../src/maildrop.ts'
import { pop3Metrics } from '../src/metrics.ts'

const texts: Record<number, string> = {
  4: 'Subject: one\r\n\r\n.dot\r\n',
  9: 'Subject: two\r\n\r\nlines\r\n',
}
const messages = [
  { uid: 4, size: 120 },
  { uid: 9, size: 200 },
]

interface Running {
  port: number
  ca: string
  removed: number[][]
  released: () => number
  close(): Promise<void>
}

async function start(
  t: TestContext,
  options: Partial<ConnectionOptions> = {},
  ports: Partial<MaildropPorts> = {},
): Promise<Running> {
  const removed: number[][] = []
  let released = 0
  const registry = new Registry()
  const log = pino({ level: 'silent' })
  const maildrop: MaildropPorts = {
    uidValidity: 77,
    messages,
    async *read(uid) {
      yield Buffer.from(texts[uid] ?? '')
    },
    remove: async (uids) => void removed.push([...uids]),
    ...ports,
  }
  const session: ConnectionOptions = {
    plaintextLogin: true,
    idleTimeoutMs: 60_000,
    loginTimeoutMs: 60_000,
    maxBadCommands: 20,
    login: async (username, password) =>
      username === 'mrose@example.org' && password === 'tan staaf'
        ? { kind: 'opened', maildrop: new Maildrop(maildrop), release: async () => void released++ }
        : { kind: 'refused', delayMs: 0 },
    metrics: pop3Metrics(registry),
    log,
    ...options,
  }
  const tls = await testCertificate(t)
  const listener = await listenTcp((connection) => serve(connection, session), {
    port: 0,
    host: '127.0.0.1',
    tls,
    refusal: () => '-ERR busy\r\n',
    metrics: connectionMetrics(registry, 'pop3'),
    log,
  })
  t.after(() => listener.close(0))
  return { port: listener.port, ca: tls.ca, removed, released: () => released, close: () => listener.close(1000) }
}

const transcript = (name: string): URL => new URL(`./transcripts/${name}.pop3`, import.meta.url)

test('a session reads, marks, resets and removes at QUIT what is marked', async (t) => {
  const { port, removed, released } = await start(t)
  await playTranscript(transcript('session'), port)
  assert.deepEqual(removed, [[9]])
  assert.equal(released(), 1)
})

test('UIDL and TOP, pipelined', async (t) => {
  const { port, removed } = await start(t)
  await playTranscript(transcript('uidl-top'), port)
  assert.deepEqual(removed, [])
})

test('a session that ends without QUIT removes nothing and gives its lock back', async (t) => {
  const { port, removed, released, close } = await start(t)
  await playTranscript(transcript('auth'), port)
  await close()
  assert.deepEqual(removed, [])
  assert.equal(released(), 1)
})

test('passwords are refused in the clear, and nothing said before STLS is obeyed after it', async (t) => {
  const { port, ca } = await start(t, { plaintextLogin: false })
  await playTranscript(transcript('clear'), { port, tls: { ca, servername: 'localhost' } })
})

test('refused commands are bounded', async (t) => {
  const { port } = await start(t, { maxBadCommands: 3 })
  await playTranscript(transcript('limits'), port)
})

test('a line without end is cut off', async (t) => {
  const { port } = await start(t)
  const client = await Conversation.open({ port })
  t.after(() => client.close())
  assert.match((await client.line()) ?? '', /^\+OK/)
  client.write('A'.repeat(10_000))
  assert.match((await client.line()) ?? '', /^-ERR/)
  assert.equal(await client.line(), null)
})

test('a directory that does not answer is a temporary refusal, and the session goes on', async (t) => {
  const { port } = await start(t, {
    login: async () => {
      throw new Error('nobody answers')
    },
  })
  const client = await Conversation.open({ port })
  t.after(() => client.close())
  await client.line()
  client.write('USER a@example.org\r\nPASS b\r\nNOOP\r\n')
  assert.match((await client.line()) ?? '', /^\+OK/)
  assert.match((await client.line()) ?? '', /^-ERR \[SYS\/TEMP\]/)
  assert.match((await client.line()) ?? '', /^-ERR/)
})

test('a removal that fails is told at QUIT', async (t) => {
  const { port } = await start(
    t,
    {},
    {
      remove: async () => {
        throw new Error('mailstore')
      },
    },
  )
  const client = await Conversation.open({ port })
  t.after(() => client.close())
  client.write('USER mrose@example.org\r\nPASS tan staaf\r\nDELE 1\r\nQUIT\r\n')
  const lines = []
  for (let line = await client.line(); line !== null; line = await client.line()) lines.push(line)
  assert.match(lines.at(-1) ?? '', /^-ERR \[SYS\/TEMP\]/)
})

test('a message that cannot be read to its end closes the connection instead of looking complete', async (t) => {
  const { port } = await start(
    t,
    {},
    {
      async *read() {
        yield Buffer.from('Subject: one\r\n')
        throw new Error('blob')
      },
    },
  )
  const client = await Conversation.open({ port })
  t.after(() => client.close())
  client.write('USER mrose@example.org\r\nPASS tan staaf\r\nRETR 1\r\n')
  const lines = []
  for (let line = await client.line(); line !== null; line = await client.line()) lines.push(line)
  assert.ok(!lines.includes('.'))
})
