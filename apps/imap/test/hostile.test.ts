/** Octets that no client should send, as fast or as slowly as they may come: the session ends or answers, and costs little. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { test, type TestContext } from 'node:test'
import { constants, createDeflateRaw, deflateRawSync } from 'node:zlib'

import { Conversation } from '@postbus/testkit'
import fc from 'fast-check'

import { seed } from './memory/messages.ts'
import { ANN, startServer, type Server, type ServerOptions } from './memory/server.ts'

const limits = { timeout: 180_000 }
const MIB = 1024 * 1024

async function start(t: TestContext, options?: ServerOptions): Promise<Server> {
  const server = await startServer(t, options)
  seed(server.mailstore, ANN)
  return server
}

async function open(t: TestContext, server: Server, ...commands: string[]): Promise<Conversation> {
  const conversation = await Conversation.open({ port: server.port, timeoutMs: 60_000 })
  t.after(() => conversation.close())
  await conversation.line()
  for (const command of commands) {
    conversation.write(`t ${command}\r\n`)
    assert.match(await until(conversation, /^t /), /^t OK/, command)
  }
  return conversation
}

async function until(conversation: Conversation, pattern: RegExp): Promise<string> {
  for (;;) {
    const line = (await conversation.line()) ?? assert.fail(`closed before ${pattern}`)
    if (pattern.test(line)) return line
  }
}

const LOGIN = 'LOGIN ann@example.test secret'

async function stillServes(t: TestContext, server: Server): Promise<void> {
  const client = await open(t, server, LOGIN, 'SELECT INBOX')
  client.write('x NOOP\r\n')
  assert.match(await until(client, /^x /), /^x OK/)
}

const verb = fc.constantFrom(
  ...['CAPABILITY', 'NOOP', 'LOGIN', 'AUTHENTICATE', 'SELECT', 'EXAMINE', 'CREATE', 'DELETE', 'RENAME', 'SUBSCRIBE'],
  ...['LIST', 'LSUB', 'STATUS', 'APPEND', 'REPLACE', 'UID REPLACE', 'CLOSE', 'EXPUNGE', 'SEARCH', 'UID SEARCH'],
  ...['FETCH', 'UID FETCH', 'STORE', 'UID STORE', 'COPY', 'MOVE', 'ENABLE', 'ID', 'NAMESPACE', 'IDLE', 'DONE'],
  ...['GETQUOTA', 'GETQUOTAROOT', 'SETQUOTA', 'GETMETADATA', 'SETMETADATA', 'COMPRESS', 'UNSELECT', 'LOGOUT'],
)
const argument = fc.oneof(
  fc.constantFrom(
    ...[
      'INBOX',
      '""',
      '*',
      '%',
      '1',
      '1:*',
      '$',
      '(',
      ')',
      '()',
      'NIL',
      '"',
      '\\Seen',
      'FLAGS',
      'BODY[]',
      'BODY.PEEK[1]<0.9>',
    ],
    ...[
      '(DEPTH infinity)',
      '(MAXSIZE 1)',
      '(/private/x "y")',
      '/shared/x',
      'UTF8 (~{3+}\r\nabc)',
      '{3+}\r\nabc',
      '{3}\r\n',
    ],
    ...['{0+}\r\n', '~{2+}\r\na\0', '{99999999999999999999+}\r\n', 'PLAIN', 'SCRAM-SHA-256', 'biws', '=', 'DEFLATE'],
    ...['"1-Jan-2024 00:00:00 +0000"', 'RETURN (STATUS (DELETED-STORAGE))', '&-', '&AOk-', 'NOT', 'OR', 'TEXT'],
  ),
  fc.string({ unit: 'binary', maxLength: 12 }),
)
const command = fc
  .tuple(fc.constantFrom('a', 'b', '*', ''), verb, fc.array(argument, { maxLength: 5 }))
  .map(([tag, name, words]) => `${[tag, name, ...words].join(' ')}\r\n`)

test(
  'commands made of anything: each session ends with BYE or the end of its input, none with a fault',
  limits,
  async (t) => {
    const short = { maxBadCommands: 5, stallMs: 100, autologoutMs: 100, loginMs: 200 }
    const server = await start(t, { limits: short })
    const property = fc.asyncProperty(
      fc.boolean(),
      fc.array(fc.oneof({ weight: 4, arbitrary: command }, fc.string({ unit: 'binary', maxLength: 20 })), {
        maxLength: 15,
      }),
      fc.integer({ min: 1, max: 200 }),
      async (loggedIn, commands, piece) => {
        const conversation = await Conversation.open({ port: server.port, timeoutMs: 60_000 })
        if (loggedIn) conversation.write(`x ${LOGIN}\r\ny SELECT INBOX\r\n`)
        const octets = Buffer.from(commands.join(''), 'latin1')
        for (let at = 0; at < octets.length; at += piece) conversation.write(octets.subarray(at, at + piece))
        const said = await conversation.rest()
        assert.ok(!said.includes('SERVERBUG'), said)
        // Once compression is on, BYE is not to be read here.
        if (!said.includes('DEFLATE active')) assert.match(said, /\* BYE /)
        await conversation.close()
      },
    )
    await fc.assert(property, { seed: 9051, numRuns: 60 })
    await stillServes(t, server)
  },
)

test('octets that are no DEFLATE end the connection', limits, async (t) => {
  const server = await start(t)
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ minLength: 1, maxLength: 200 }), async (octets) => {
      const client = await open(t, server, LOGIN, 'COMPRESS DEFLATE')
      // 0xff begins a block of a type there is not.
      client.write(Buffer.concat([Uint8Array.of(0xff), octets]))
      await client.rest()
      await client.close()
    }),
    { seed: 4978, numRuns: 20 },
  )
  await stillServes(t, server)
})

test('a compressed bomb is a long command like any other: refused, and never held', limits, async (t) => {
  const server = await start(t)
  const client = await open(t, server, LOGIN, 'COMPRESS DEFLATE')
  client.compress()
  const before = process.memoryUsage().rss
  client.write(`a NOOP ${' '.repeat(64 * MIB)}\r\nb NOOP\r\n`)
  assert.match(await until(client, /^a /), /^a BAD Command line longer/)
  assert.match(await until(client, /^b /), /^b OK/)
  // The text itself is ours, in this process.
  assert.ok(process.memoryUsage().rss - before < 400 * MIB)
  const wire = deflateRawSync(Buffer.alloc(32 * MIB, 'x'))
  assert.ok(wire.length < MIB / 10, 'what that cost the client')
})

test('a client that compresses and reads nothing is given up, too', limits, async (t) => {
  const server = await start(t, { limits: { maxBufferedBytes: 50_000, stallMs: 500 } })
  const octets = Buffer.alloc(30 * MIB)
  for (let at = 0; at < octets.length; at++) octets[at] = (at * 2654435761) >>> 24
  server.mailstore.deliver(ANN, 'INBOX', Buffer.concat([Buffer.from('Subject: noise\r\n\r\n'), octets]))
  const socket = connect(server.port, '127.0.0.1')
  t.after(() => socket.destroy())
  socket.on('error', () => undefined)
  await once(socket, 'connect')
  socket.write(`a ${LOGIN}\r\nb SELECT INBOX\r\nc COMPRESS DEFLATE\r\n`)
  assert.match(await line(socket, /^c /), /^c OK/)
  socket.pause()
  const deflate = createDeflateRaw()
  deflate.pipe(socket)
  deflate.write('d FETCH 4 BODY.PEEK[]\r\n'.repeat(3))
  deflate.flush(constants.Z_SYNC_FLUSH)
  const metric = server.metrics.getSingleMetric('mail_open_connections')
  while ((await metric?.get())?.values[0]?.value !== 0) await new Promise((resolve) => setImmediate(resolve))
})

async function line(socket: ReturnType<typeof connect>, pattern: RegExp): Promise<string> {
  for (let text = ''; ;) {
    const chunk: Buffer | null = socket.read()
    if (chunk === null) await once(socket, 'readable')
    else text += chunk.toString('latin1')
    const found = text.split('\r\n').find((each) => pattern.test(each))
    if (found !== undefined) return found
  }
}

test('literals larger than anything are refused before they come, or end the connection', limits, async (t) => {
  const server = await start(t, { limits: { maxAppendBytes: 1000, maxSkippedBytes: 2000 } })
  const client = await open(t, server, LOGIN)
  for (const [text, answer] of [
    ['APPEND INBOX {99999999}', /^b NO \[TOOBIG\]/],
    ['APPEND INBOX {9999999999999999999}', /^b BAD/],
    ['SELECT {99999999}', /^b NO \[TOOBIG\]/],
    [`APPEND INBOX {1500+}\r\n${'x'.repeat(1500)}`, /^b NO \[TOOBIG\]/],
  ] as const) {
    client.write(`b ${text}\r\n`)
    assert.match(await until(client, /^b /), answer, text)
  }
  client.write('b APPEND INBOX {5000+}\r\n')
  assert.match(await until(client, /^\* BYE/), /^\* BYE \[TOOBIG\]/)
  await stillServes(t, server)
})

test('a client that dribbles, and never gets to log in, has no longer than one that is silent', limits, async (t) => {
  const server = await start(t, { limits: { loginMs: 300, stallMs: 60_000 } })
  for (const beginning of ['a NOO', 'a LOGIN {20+}\r\nann']) {
    const client = await open(t, server)
    client.write(beginning)
    const dribble = setInterval(() => client.write('x'), 50)
    const said = await client.rest()
    clearInterval(dribble)
    assert.match(said, /\* BYE Autologout, log in sooner/)
  }
})
