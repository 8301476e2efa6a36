/** What clients, networks and the services behind may do to a session, and what must hold then. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { test, type TestContext } from 'node:test'

import { Conversation } from '@postbus/testkit'
import fc from 'fast-check'

import { seed, short } from './memory/messages.ts'
import { ANN, startServer, type Server, type ServerOptions } from './memory/server.ts'

const limits = { timeout: 120_000 }

/** A client that is logged in, with INBOX selected unless told otherwise. */
class Client {
  readonly conversation: Conversation
  #tags = 0

  constructor(conversation: Conversation) {
    this.conversation = conversation
  }

  /** All lines up to the tagged one, which is last. */
  async command(text: string): Promise<string[]> {
    const tag = `t${++this.#tags}`
    this.conversation.write(`${tag} ${text}\r\n`)
    return this.until((line) => line.startsWith(`${tag} `))
  }

  async until(last: (line: string) => boolean): Promise<string[]> {
    const lines: string[] = []
    for (;;) {
      const line = await this.conversation.line()
      if (line === null) return [...lines, 'CLOSED']
      lines.push(line)
      if (last(line)) return lines
    }
  }
}

async function open(t: TestContext, server: Server, name?: string): Promise<Client> {
  const conversation = await Conversation.open({ port: server.port, timeoutMs: 60_000 })
  t.after(() => conversation.close())
  const client = new Client(conversation)
  await conversation.line()
  if (name === undefined) return client
  assert.match((await client.command('LOGIN ann@example.test secret')).at(-1) ?? '', /OK/)
  if (name !== '') assert.match((await client.command(`SELECT ${name}`)).at(-1) ?? '', /OK/)
  return client
}

async function start(t: TestContext, options?: ServerOptions): Promise<Server> {
  const server = await startServer(t, options)
  seed(server.mailstore, ANN)
  return server
}

const tagged = (lines: string[]): string => (lines.at(-1) ?? '').replace(/^t\d+ /, '')

test('what cannot be asked now is NO [UNAVAILABLE], and the session goes on when it can', limits, async (t) => {
  const server = await start(t)
  const client = await open(t, server, 'INBOX')
  server.bus.down = true
  for (const command of [
    'FETCH 1 ENVELOPE',
    'STORE 1 +FLAGS (\\Seen)',
    'SEARCH SUBJECT x',
    'STATUS INBOX (MESSAGES)',
    'LIST "" *',
    'EXPUNGE',
    'COPY 1 INBOX',
    'CREATE x',
    'APPEND INBOX {3+}\r\nabc',
  ])
    assert.match(tagged(await client.command(command)), /^NO \[UNAVAILABLE\] /, command)
  // NOOP has no NO — RFC 9051 §6.1.2.
  assert.equal(tagged(await client.command('NOOP')), 'OK NOOP completed')
  const fresh = await open(t, server)
  assert.match(tagged(await fresh.command('LOGIN ann@example.test secret')), /^NO \[UNAVAILABLE\]/)
  server.bus.down = false
  assert.equal(tagged(await client.command('FETCH 1 FLAGS')), 'OK FETCH completed')
  assert.match(tagged(await fresh.command('LOGIN ann@example.test secret')), /^OK/)
  assert.equal(server.blobs.held.size, 0, 'staged messages that nobody took are gone')
})

test('a hint that was lost is made up for by the next look', limits, async (t) => {
  const server = await start(t, { limits: { recheckMs: 50 } })
  const client = await open(t, server, 'INBOX')
  await idle(client)
  server.bus.down = true
  server.mailstore.deliver(ANN, 'INBOX', short)
  server.bus.down = false
  assert.equal((await client.until((line) => line.endsWith('EXISTS'))).at(-1), '* 4 EXISTS')
})

test('HIGHESTMODSEQ is never ahead of what was told, also when hints are lost', limits, async (t) => {
  const server = await start(t)
  const [here, there] = [await open(t, server, ''), await open(t, server, 'INBOX')]
  await here.command('ENABLE QRESYNC')
  await here.command('SELECT INBOX')
  server.bus.hint = () => undefined
  await there.command('STORE 1 +FLAGS.SILENT (\\Flagged)')
  await here.command('STORE 2 +FLAGS.SILENT (\\Deleted)')
  const [vanished, flagged, answer] = await here.command('EXPUNGE')
  assert.equal(vanished, '* VANISHED 2')
  assert.match(flagged ?? '', /^\* 1 FETCH \(UID 1 FLAGS \(\\Flagged.*MODSEQ \(5\)\)$/)
  assert.match(answer ?? '', /OK \[HIGHESTMODSEQ 7\]/)
})

test('what vanishes while QRESYNC opens a mailbox is told once, and at once', limits, async (t) => {
  const server = await start(t)
  const [here, there] = [await open(t, server, ''), await open(t, server, 'INBOX')]
  await here.command('ENABLE QRESYNC')
  await there.command('STORE 1 +FLAGS.SILENT (\\Deleted)')
  await there.command('EXPUNGE')
  await there.command('STORE 1:2 +FLAGS.SILENT (\\Answered)')
  const rows = server.bus.rows.bind(server.bus)
  server.bus.rows = async function* (contract, input) {
    yield* rows(contract, input)
    if (contract.name !== 'mailstore.open') return
    server.bus.rows = rows
    // UID 2 goes, and one comes, between the mailbox as it was opened and the look at what was missed.
    await there.command('STORE 1 +FLAGS.SILENT (\\Deleted)')
    await there.command('EXPUNGE')
    await there.command('APPEND INBOX {3+}\r\nnew')
  }
  const opened = await here.command('SELECT INBOX (QRESYNC (1000 4))')
  assert.deepEqual(
    opened.filter((line) => /EXISTS|VANISHED|FETCH/.test(line)),
    [
      ...['* 2 EXISTS', '* VANISHED (EARLIER) 1', '* 2 FETCH (UID 3 FLAGS (\\Flagged \\Answered) MODSEQ (7))'],
      '* VANISHED 2',
    ],
  )
  assert.equal((await here.command('NOOP'))[0], '* 2 EXISTS')
})

test('after the bus was away, idling sessions look at once', limits, async (t) => {
  const server = await start(t)
  const client = await open(t, server, 'INBOX')
  await idle(client)
  server.bus.down = true
  server.mailstore.deliver(ANN, 'INBOX', short)
  server.bus.reconnect()
  assert.equal((await client.until((line) => line.endsWith('EXISTS'))).at(-1), '* 4 EXISTS')
})

/** Resolves when the server waits for what is to happen. */
async function idle({ conversation }: Client): Promise<void> {
  conversation.write('idle IDLE\r\n')
  assert.match((await conversation.line()) ?? '', /^\+ /)
}

test('a large message is streamed from its blob, octet for octet', limits, async (t) => {
  const server = await start(t)
  const body = 'x'.repeat(700) + '\r\n'
  const message = Buffer.from(`Subject: large\r\n\r\n${body.repeat(1000)}`)
  server.mailstore.deliver(ANN, 'INBOX', message)
  const client = await open(t, server, 'INBOX')
  client.conversation.write('a FETCH 4 BODY.PEEK[]\r\n')
  assert.equal(await client.conversation.line(), `* 4 FETCH (BODY[] {${message.length}}`)
  assert.ok((await client.conversation.bytes(message.length))?.equals(message))
  assert.equal(await client.conversation.line(), ')')
  client.conversation.write('b FETCH 4 BODY.PEEK[TEXT]<1000.100000>\r\n')
  await client.until((line) => line.startsWith('* 4'))
  assert.ok((await client.conversation.bytes(100_000))?.equals(message.subarray(18 + 1000, 18 + 101_000)))
})

test('a blob that is not there is NO; one that breaks off in a literal ends the connection', limits, async (t) => {
  const server = await start(t)
  server.mailstore.deliver(ANN, 'INBOX', `Subject: large\r\n\r\n${'y'.repeat(200_000)}`)
  const client = await open(t, server, 'INBOX')
  server.blobs.breakAfter = 5000
  client.conversation.write('a FETCH 4 BODY.PEEK[]\r\n')
  const received = await client.conversation.rest()
  assert.match(received, /^\* 4 FETCH \(BODY\[\] \{200018\}\r\n/)
  assert.ok(!received.includes('\r\na '), 'nothing is made up to fill the literal')
  const second = await open(t, server, 'INBOX')
  server.blobs.held.clear()
  assert.match(tagged(await second.command('FETCH 4 BODY.PEEK[]')), /^NO \[CORRUPTION\]/)
  assert.equal(tagged(await second.command('FETCH 1 FLAGS')), 'OK FETCH completed')
})

test('a result too scattered to be kept is NO [NOTSAVED], and $ is empty', limits, async (t) => {
  const server = await start(t)
  for (let count = 0; count <= 2 * 32_768; count++)
    server.mailstore.deliver(ANN, 'INBOX', 'Subject: x\r\n\r\n', { flags: count % 2 === 0 ? ['\\Draft'] : [] })
  const client = await open(t, server, 'INBOX')
  assert.equal(tagged(await client.command('SEARCH RETURN (SAVE) 1:3')), 'OK SEARCH completed, result saved')
  // RFC 5182 §2.1, §2.3
  assert.match(tagged(await client.command('SEARCH RETURN (SAVE) DRAFT')), /^NO \[NOTSAVED\]/)
  assert.deepEqual(await client.command('SEARCH $'), ['* SEARCH', 't5 OK SEARCH completed'])
})

test('a message that cannot be staged is NO, and its octets are passed over', limits, async (t) => {
  const server = await start(t)
  const client = await open(t, server, '')
  server.blobs.full = true
  const literal = `LOGOUT\r\nx LOGOUT\r\n`.repeat(5000)
  assert.match(tagged(await client.command(`APPEND INBOX {${literal.length}+}\r\n${literal}`)), /^NO \[UNAVAILABLE\]/)
  server.blobs.full = false
  assert.equal(tagged(await client.command('NOOP')), 'OK NOOP completed')
})

test('over quota is NO [OVERQUOTA], and nothing stays', limits, async (t) => {
  const server = await start(t)
  server.mailstore.quota(ANN, 2000)
  const client = await open(t, server, 'INBOX')
  const literal = 'z'.repeat(3000)
  assert.match(tagged(await client.command(`APPEND INBOX {3000+}\r\n${literal}`)), /^NO \[OVERQUOTA\]/)
  assert.match(tagged(await client.command('COPY 1:3 INBOX')), /^OK/)
  assert.match(tagged(await client.command('COPY 1:* INBOX')), /^NO \[OVERQUOTA\]/)
  assert.equal(server.blobs.held.size, 0)
})

test('APPENDs sent together are one step; the one over quota is refused, and no other', limits, async (t) => {
  const server = await start(t)
  server.mailstore.quota(ANN, 5000)
  const client = await open(t, server, '')
  await client.command('CREATE Sent')
  const all = Array.from({ length: 30 }, (_, at) => {
    const octets = 'z'.repeat(at === 20 ? 4900 : 50)
    return `a${at} APPEND Sent {${octets.length}+}\r\n${octets}\r\n`
  })
  client.conversation.write(all.join(''))
  const lines = await client.until((line) => line.startsWith('a29 '))
  const uids = Array.from({ length: 30 }, (_, at) => (at < 20 ? at + 1 : at))
  const expected = uids.map((uid, at) => (at === 20 ? /^a20 NO \[OVERQUOTA\]/ : new RegExp(`^a${at} OK .* ${uid}\\] `)))
  assert.equal(lines.length, 30)
  for (const [at, line] of lines.entries()) assert.match(line, expected[at] ?? /./)

  const before = server.bus.asked.get('mailstore.append') ?? 0
  client.conversation.write(Array.from({ length: 30 }, (_, at) => `b${at} APPEND Sent {1+}\r\nz\r\n`).join(''))
  await client.until((line) => line.startsWith('b29 '))
  assert.ok((server.bus.asked.get('mailstore.append') ?? 0) - before < 15)
})

test('what was appended before the client hung up stands in the mailbox', limits, async (t) => {
  const server = await start(t)
  const socket = connect(server.port, '127.0.0.1')
  t.after(() => socket.destroy())
  socket.end(
    'a LOGIN ann@example.test secret\r\nb CREATE Sent\r\nc APPEND Sent {1+}\r\nz\r\nd APPEND Sent {1+}\r\nz\r\n',
  )
  socket.resume()
  await once(socket, 'close')
  const client = await open(t, server, '')
  assert.match((await client.command('STATUS Sent (MESSAGES)'))[0] ?? '', /MESSAGES 2/)
})

test('a client that reads nothing stops its own command only, and is given up in the end', limits, async (t) => {
  const server = await start(t, { limits: { maxBufferedBytes: 50_000, stallMs: 1500 } })
  server.mailstore.deliver(ANN, 'INBOX', `Subject: large\r\n\r\n${'y'.repeat(30_000_000)}`)
  const slow = connect(server.port, '127.0.0.1')
  t.after(() => slow.destroy())
  slow.on('error', () => undefined)
  slow.pause()
  slow.write('a LOGIN ann@example.test secret\r\nb SELECT INBOX\r\nc FETCH 4 BODY.PEEK[]\r\n')
  await once(slow, 'connect')
  const other = await open(t, server, 'INBOX')
  assert.equal(tagged(await other.command('FETCH 1 FLAGS')), 'OK FETCH completed')
  const before = performance.now()
  for (;;) {
    const open = await gauge(server, 'mail_open_connections')
    if (open === 1) break
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  assert.ok(performance.now() - before < 60_000)
})

async function gauge(server: Server, name: string): Promise<number> {
  const metric = await server.metrics.getSingleMetric(name)?.get()
  return metric?.values[0]?.value ?? Number.NaN
}

test('a token is renewed before it runs out, and once more when it has', limits, async (t) => {
  const server = await start(t)
  const client = await open(t, server, 'INBOX')
  server.directory.expired.add(`${ANN}.1`)
  assert.equal(tagged(await client.command('FETCH 1 FLAGS')), 'OK FETCH completed')
})

test('a session whose token is not renewed ends with BYE, also while it idles', limits, async (t) => {
  const server = await start(t)
  const client = await open(t, server, 'INBOX')
  server.directory.disabled.add(ANN)
  server.directory.expired.add(`${ANN}.1`)
  assert.match((await client.command('FETCH 1 FLAGS')).at(-2) ?? '', /^\* BYE \[EXPIRED\]/)
  server.directory.disabled.clear()
  server.directory.tokenExpiresInMs = 1
  const idling = await open(t, server, 'INBOX')
  server.directory.disabled.add(ANN)
  const lines = await idling.command('IDLE')
  assert.match(lines.at(-2) ?? '', /^\* BYE \[EXPIRED\]/)
})

test('a stop is BYE: at once between commands and in IDLE, after the command in hand else', limits, async (t) => {
  const server = await start(t)
  const quiet = await open(t, server, 'INBOX')
  const idling = await open(t, server, 'INBOX')
  const appending = await open(t, server, 'INBOX')
  const idle = idling.command('IDLE')
  appending.conversation.write('x APPEND INBOX {5}\r\n')
  assert.equal(await appending.conversation.line(), '+ OK')
  const closed = server.close()
  assert.match((await quiet.until(() => true))[0] ?? '', /^\* BYE \[UNAVAILABLE\]/)
  assert.match((await idle).at(-2) ?? '', /^\* BYE \[UNAVAILABLE\]/)
  appending.conversation.write('12345\r\n')
  const last = await appending.until((line) => line.startsWith('* BYE'))
  assert.match(last.at(-2) ?? '', /^x OK \[APPENDUID/)
  await closed
})

test('silence ends a session with BYE', limits, async (t) => {
  const anonymous = await open(t, await start(t, { limits: { loginMs: 100 } }))
  // Silent, or too late with its login: it is both at the same moment.
  assert.match((await anonymous.until(() => false)).at(-2) ?? '', /^\* BYE Autologout/)
  // Long enough for a client that says its next command at once.
  const server = await start(t, { limits: { autologoutMs: 1000, stallMs: 500 } })
  const idle = await open(t, server, 'INBOX')
  assert.match((await idle.command('IDLE')).at(-2) ?? '', /^\* BYE Autologout/)
  const stalled = await open(t, server, '')
  stalled.conversation.write('x APPEND INBOX {10+}\r\nabc')
  assert.match((await stalled.until(() => false)).at(-2) ?? '', /^\* BYE Autologout/)
  assert.equal(server.blobs.held.size, 0)
})

test('nonsense, failed logins and idleness before login have an end', limits, async (t) => {
  const server = await start(t, { limits: { maxBadCommands: 3, maxFailedLogins: 2, maxCommandsBeforeLogin: 5 } })
  const nonsense = await open(t, server, '')
  nonsense.conversation.write('x\r\n'.repeat(10))
  assert.equal((await nonsense.until(() => false)).at(-2), '* BYE Too many bad commands')
  const guesser = await open(t, server)
  guesser.conversation.write(
    'a LOGIN ann@example.test a\r\nb LOGIN ann@example.test b\r\nc LOGIN ann@example.test c\r\n',
  )
  assert.equal((await guesser.until(() => false)).at(-2), '* BYE Too many failed logins')
  const chatter = await open(t, server)
  chatter.conversation.write('a NOOP\r\n'.repeat(10))
  assert.equal((await chatter.until(() => false)).at(-2), '* BYE Log in sooner')
  server.directory.throttled = true
  const throttled = await open(t, server)
  assert.match(tagged(await throttled.command('LOGIN ann@example.test secret')), /^NO \[UNAVAILABLE\] Too many logins/)
})

test('sessions of one account are limited, and share one subscription', limits, async (t) => {
  const server = await start(t, { sessionsPerAccount: 2 })
  const subject = `mailbox.changed.v1.${ANN}`
  const first = await open(t, server, '')
  await open(t, server, '')
  const third = await open(t, server)
  assert.match(tagged(await third.command('LOGIN ann@example.test secret')), /^NO \[LIMIT\]/)
  assert.equal(server.bus.listening(subject), 1)
  await first.command('LOGOUT')
  assert.match(tagged(await third.command('LOGIN ann@example.test secret')), /^OK/)
})

test('more commands than the rate allows wait; none is lost', limits, async (t) => {
  const server = await start(t, { limits: { maxCommandsPerSecond: 50 } })
  const client = await open(t, server, '')
  const started = performance.now()
  client.conversation.write(Array.from({ length: 100 }, (_, index) => `n${index} NOOP\r\n`).join(''))
  const lines = await client.until((line) => line.startsWith('n99 '))
  assert.equal(lines.length, 100)
  assert.ok(performance.now() - started > 800)
})

test('TLS from the first octet serves the same', limits, async (t) => {
  const server = await start(t, { plaintextLogin: false })
  const options = { port: server.tlsPort, implicitTls: true, tls: { ca: server.ca, servername: 'localhost' } }
  const conversation = await Conversation.open(options)
  t.after(() => conversation.close())
  const client = new Client(conversation)
  assert.match((await conversation.line()) ?? '', /AUTH=PLAIN(?!.*STARTTLS)/)
  assert.match(tagged(await client.command('LOGIN ann@example.test secret')), /^OK/)
})

const token = fc.oneof(
  fc.constantFrom(
    'a ',
    'FETCH ',
    'UID ',
    'STORE ',
    'SEARCH ',
    'SEARCH RETURN (',
    'PARTIAL 1:-1',
    'SAVE) ',
    '$',
    'MODSEQ ',
    'ENABLE QRESYNC IMAP4rev2',
    'SELECT INBOX (QRESYNC (',
    '(CHANGEDSINCE ',
    '(UNCHANGEDSINCE 1) ',
    'VANISHED',
    'APPEND ',
    'LIST ',
    'SELECT ',
    'IDLE',
    'DONE',
    'AUTHENTICATE PLAIN',
    'STATUS ',
    'COPY ',
    'LOGIN ',
  ),
  fc.constantFrom(
    'INBOX',
    '1:*',
    '*',
    '$',
    '(',
    ')',
    '"',
    '{3+}\r\n',
    '{3}\r\n',
    '~{2+}\r\n',
    '{0+}\r\n',
    '\r\n',
    '\r\n',
    ' ',
    'FLAGS',
    'BODY[]',
    '\\Seen',
    'ALL',
  ),
  fc.string({ unit: 'binary', maxLength: 8 }),
)

test('whatever a client sends, every session is answered or ended, and others are served', limits, async (t) => {
  const server = await start(t, { limits: { maxBadCommands: 5, stallMs: 100, autologoutMs: 100, loginMs: 100 } })
  await fc.assert(
    fc.asyncProperty(fc.array(token, { maxLength: 60 }), fc.boolean(), async (tokens, loggedIn) => {
      const conversation = await Conversation.open({ port: server.port, timeoutMs: 60_000 })
      if (loggedIn) conversation.write('x LOGIN ann@example.test secret\r\ny SELECT INBOX\r\n')
      conversation.write(Buffer.from(tokens.join(''), 'latin1'))
      const said = await conversation.rest()
      assert.ok(!said.includes('SERVERBUG'), said)
      // Cut off only by the end of the input, never without a word.
      assert.match(said, /\* BYE /)
      await conversation.close()
    }),
    { numRuns: 40 },
  )
  const client = await open(t, server, 'INBOX')
  assert.match(tagged(await client.command('NOOP')), /^OK/)
})
