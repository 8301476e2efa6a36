/** The protocol through its front door, over a maildrop in memory. */
import assert from 'node:assert/strict'
import { createHash, X509Certificate } from 'node:crypto'
import { readdirSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { test, type TestContext } from 'node:test'

import { connectionMetrics, listenTcp } from '@postbus/listener'
import { Conversation, playTranscript, scramClient, testCertificate } from '@postbus/testkit'
import { pino } from 'pino'
import { Registry } from '@postbus/metrics'

import { serve, type ConnectionOptions } from '../src/connection.ts'
import { Maildrop, MessageGone, Snapshot, type MaildropPorts } from '../src/maildrop.ts'
import { pop3Metrics } from '../src/metrics.ts'
import { memoryLogins } from './memory-logins.ts'

/** By UID; what transcripts are about. */
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
  /** PEM of the server itself. */
  certificate: string
  removed: number[][]
  read: number[][]
  released: () => number
  /** A session gave the maildrop back. */
  firstRelease: Promise<void>
  close(): Promise<void>
}

async function start(
  t: TestContext,
  options: Partial<ConnectionOptions> = {},
  ports: Partial<MaildropPorts> = {},
): Promise<Running> {
  const removed: number[][] = []
  const read: number[][] = []
  let released = 0
  let open = 0
  const firstRelease = Promise.withResolvers<void>()
  const registry = new Registry()
  const log = pino({ level: 'silent' })
  const maildrop: MaildropPorts = {
    uidValidity: 77,
    snapshot: Snapshot.from(messages),
    async *read(uid) {
      yield Buffer.from(texts[uid] ?? '')
    },
    remove: async (uids) => void removed.push([...uids]),
    markRead: async (uids) => void read.push([...uids]),
    ...ports,
  }
  const openOne = async () => {
    if (open > 0) return null
    open++
    const release = async (): Promise<void> => {
      open--
      released++
      firstRelease.resolve()
    }
    return { maildrop: new Maildrop(maildrop), release }
  }
  const session: ConnectionOptions = {
    plaintextLogin: true,
    idleTimeoutMs: 60_000,
    loginTimeoutMs: 60_000,
    maxBadCommands: 20,
    bearerLogin: false,
    tracer: null,
    verifier: () => memoryLogins,
    openMaildrop: openOne,
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
    metrics: connectionMetrics(registry),
    log,
  })
  t.after(() => listener.close(0))
  return {
    certificate: await readFile(tls.certFile, 'utf8'),
    ...{ port: listener.port, ca: tls.ca, removed, read, firstRelease: firstRelease.promise },
    released: () => released,
    close: () => listener.close(1000),
  }
}

const folder = new URL('./transcripts/', import.meta.url)

/** What a transcript needs to be otherwise than usual. */
const settings: Record<string, Partial<ConnectionOptions>> = {
  'rfc2595-stls.pop3': { plaintextLogin: false },
  'rfc2595-capa.pop3': { plaintextLogin: false },
  'rfc8314-cleartext.pop3': { plaintextLogin: false },
  'limits.pop3': { maxBadCommands: 3 },
  'rfc7628-oauthbearer.pop3': { bearerLogin: true },
  'rfc7628-refused.pop3': { bearerLogin: true },
  'xoauth2.pop3': { bearerLogin: true },
}

/** What a client bound to this certificate says, and one who is bound to another. */
function boundTo(certificate: string): Record<string, string> {
  const data = createHash('sha256').update(new X509Certificate(certificate).raw).digest()
  const user = { username: 'user', password: 'pencil', nonce: 'rOprNGfwEbeRWgbNEkqO' }
  const serverFirst = 'r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096'
  const type = 'tls-server-end-point'
  const client = scramClient({ ...user, binding: { type, data } })
  const relayed = scramClient({ ...user, binding: { type, data: data.toReversed() } })
  const said = {
    ...{ first: client.first, serverFirst, final: client.final(serverFirst), serverFinal: client.serverFinal },
    relayed: relayed.final(serverFirst),
  }
  return Object.fromEntries(Object.entries(said).map(([name, text]) => [name, Buffer.from(text).toString('base64')]))
}

for (const file of readdirSync(folder).filter((name) => name.endsWith('.pop3'))) {
  test(`transcript ${file}`, async (t) => {
    const { port, ca, certificate, removed } = await start(t, settings[file])
    const variables = boundTo(certificate)
    await playTranscript(new URL(file, folder), {
      port,
      tls: { ca, servername: 'localhost' },
      variables,
    })
    const wanted = /^# REMOVED(.*)$/m.exec(await readFile(new URL(file, folder), 'utf8'))?.[1]?.trim()
    assert.equal(removed.flat().join(' '), wanted ?? '')
  })
}

test('every capability has three transcripts that name its RFC', async (t) => {
  const { port } = await start(t)
  const client = await Conversation.open({ port })
  t.after(() => client.close())
  await client.line()
  client.write('CAPA\r\n')
  await client.line()
  const scripts = await Promise.all(readdirSync(folder).map((file) => readFile(new URL(file, folder), 'utf8')))
  for (let line = await client.line(); line !== null && line !== '.'; line = await client.line()) {
    const [capability = ''] = line.split(' ')
    const named = scripts.filter((script) =>
      script
        .split('\n')[0]
        ?.split(/[ ,:.]+/)
        .includes(capability),
    )
    assert.ok(named.length >= 3, `${capability} is named in the first line of ${named.length} transcripts`)
  }
})

async function logIn(t: TestContext, port: number): Promise<Conversation> {
  const client = await Conversation.open({ port })
  t.after(() => client.close())
  client.write('USER mrose@example.org\r\nPASS tan staaf\r\n')
  for (let index = 0; index < 3; index++) assert.match((await client.line()) ?? '', /^\+OK/)
  return client
}

async function rest(client: Conversation): Promise<string[]> {
  const lines = []
  for (let line = await client.line(); line !== null; line = await client.line()) lines.push(line)
  return lines
}

test('a session that ends without QUIT removes nothing, marks nothing and gives its lock back', async (t) => {
  const { port, removed, read, released, close } = await start(t)
  const client = await logIn(t, port)
  client.write('RETR 2\r\nDELE 1\r\n')
  while ((await client.line()) !== '.');
  assert.match((await client.line()) ?? '', /^\+OK/)
  await close()
  assert.deepEqual([removed, read, released()], [[], [], 1])
})

test('what was read to its end is marked as read at QUIT; what is removed is not, nor what TOP showed', async (t) => {
  const { port, removed, read } = await start(t)
  const client = await logIn(t, port)
  client.write('RETR 1\r\nRETR 2\r\nDELE 1\r\nRSET\r\nTOP 1 0\r\nDELE 2\r\nQUIT\r\n')
  assert.match((await rest(client)).at(-1) ?? '', /^\+OK/)
  assert.deepEqual([read, removed], [[[4]], [[9]]])
})

test('a maildrop whose marks cannot be stored is still emptied', async (t) => {
  const failing = { markRead: async () => Promise.reject(new Error('mailstore')) }
  const { port, removed } = await start(t, {}, failing)
  const client = await logIn(t, port)
  client.write('RETR 1\r\nDELE 2\r\nQUIT\r\n')
  assert.match((await rest(client)).at(-1) ?? '', /^\+OK/)
  assert.deepEqual(removed, [[9]])
})

test('one session has the maildrop; the next has it after its end', async (t) => {
  const { port } = await start(t)
  const first = await logIn(t, port)
  const second = await Conversation.open({ port })
  t.after(() => second.close())
  await second.line()
  second.write('USER mrose@example.org\r\nPASS tan staaf\r\n')
  await second.line()
  assert.match((await second.line()) ?? '', /^-ERR \[IN-USE\]/)
  first.write('QUIT\r\n')
  await rest(first)
  second.write('USER mrose@example.org\r\nPASS tan staaf\r\n')
  await second.line()
  assert.match((await second.line()) ?? '', /^\+OK/)
})

test('a line without end is cut off', async (t) => {
  const { port } = await start(t)
  const client = await Conversation.open({ port })
  t.after(() => client.close())
  assert.match((await client.line()) ?? '', /^\+OK/)
  client.write('A'.repeat(100_000))
  assert.match((await client.line()) ?? '', /^-ERR/)
  assert.equal(await client.line(), null)
})

test('a client that never logs in is shown out however busy it is', async (t) => {
  const { port } = await start(t, { loginTimeoutMs: 1500 })
  const client = await Conversation.open({ port })
  t.after(() => client.close())
  await client.line()
  let lines = 0
  for (let line: string | null = ''; line !== null; lines++) {
    if (!/Autologout/.test(line)) client.write('USER mrose@example.org\r\n')
    line = await client.line()
    if (line !== null && /^-ERR/.test(line)) assert.match(line, /Autologout/)
  }
  assert.ok(lines > 2)
})

test('octets of no text at all are refused, and the session goes on', async (t) => {
  const { port } = await start(t, { maxBadCommands: 100 })
  const client = await Conversation.open({ port })
  t.after(() => client.close())
  await client.line()
  const garbage = [...Array(60).keys()].map((seed) =>
    Buffer.from(
      Array.from({ length: seed }, (_, at) => (seed * 37 + at * 101) & 0xff).filter((octet) => octet !== 0x0a),
    ),
  )
  client.write(Buffer.concat(garbage.flatMap((line) => [line, Buffer.from('\r\n')])))
  for (const _ of garbage) assert.match((await client.line()) ?? '', /^-ERR /)
  client.write('CAPA\r\n')
  assert.match((await client.line()) ?? '', /^\+OK/)
})

test('a reader that takes nothing is cut off, and nothing more is read for it', async (t) => {
  let chunks = 0
  const { port, firstRelease } = await start(
    t,
    { idleTimeoutMs: 1000 },
    {
      async *read() {
        for (; ; chunks++) yield Buffer.alloc(64 * 1024, 0x61)
      },
    },
  )
  const client = connect(port, '127.0.0.1').on('error', () => {})
  t.after(() => client.destroy())
  client.write('USER mrose@example.org\r\nPASS tan staaf\r\nRETR 1\r\n')
  await firstRelease
  // What the kernel took, and a little more.
  assert.ok(chunks < 2000, `${chunks} chunks`)
})

test('a message that was removed meanwhile, or cannot be read now, is refused instead of begun', async (t) => {
  const { port } = await start(
    t,
    {},
    {
      async *read(uid) {
        throw uid === 4 ? new MessageGone('gone') : new Error('mailstore')
      },
    },
  )
  const client = await logIn(t, port)
  client.write('RETR 1\r\nTOP 2 1\r\nNOOP\r\n')
  assert.match((await client.line()) ?? '', /^-ERR The message is gone/)
  assert.match((await client.line()) ?? '', /^-ERR \[SYS\/TEMP\]/)
  assert.match((await client.line()) ?? '', /^\+OK/)
})

test('fifty thousand messages are listed and named, each once, and thousands marked in one go', async (t) => {
  const [many, some] = [50_000, 5000]
  const snapshot = Snapshot.from(Array.from({ length: many }, (_, index) => ({ uid: 3 * index + 1, size: index })))
  const { port, removed } = await start(t, {}, { snapshot })
  const client = connect(port, '127.0.0.1')
  t.after(() => client.destroy())
  const dele = Array.from({ length: some }, (_, index) => `DELE ${index + 1}\r\n`).join('')
  client.write(`USER mrose@example.org\r\nPASS tan staaf\r\nLIST\r\nUIDL\r\n${dele}STAT\r\nQUIT\r\n`)
  const lines = (await text(client)).split('\r\n')
  // Greeting, name and password come first; each listing has a first line and a last one.
  const list = lines.slice(4, 4 + many)
  assert.deepEqual([list[0], list.at(-1)], ['1 0', `${many} ${many - 1}`])
  const uidl = lines.slice(6 + many, 6 + 2 * many)
  assert.equal(new Set(uidl.map((line) => line.split(' ')[1])).size, many)
  const marked = lines.slice(7 + 2 * many, 7 + 2 * many + some)
  assert.ok(marked.every((line) => line === '+OK marked'))
  assert.ok(lines[7 + 2 * many + some]?.startsWith(`+OK ${many - some} `))
  assert.equal(removed.flat().length, some)
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
