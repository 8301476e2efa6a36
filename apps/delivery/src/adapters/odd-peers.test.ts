/** Peers that say what nobody would think of. A scripted one answers each line; what the client says to it is kept. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { test, type TestContext } from 'node:test'
import { TLSSocket } from 'node:tls'

import { testCertificate } from '@postbus/testkit'

import type { Answer, Transaction } from '../attempt/session.ts'
import { SessionFailed, TlsMissing } from '../attempt/session.ts'
import { SmtpClient, type SessionWay } from './smtp-client.ts'

const timeout = 60_000
const PIPELINING = '250-odd.test\r\n250 PIPELINING\r\n'

interface Script {
  greeting?: string
  ehlo?: string
  /** @returns what is answered; the connection ends where it says so */
  answer?: (line: string, socket: Socket) => string | undefined
  /** To the final dot. */
  dot?: string
  closesAfterDot?: boolean
  /** What becomes of STARTTLS: for a client, TLS 1.3 is complete when its server may still break it off. */
  startTls?: { cert: string; key: string; breaks: boolean }
}

async function oddPeer(
  t: TestContext,
  { greeting = '220 odd.test\r\n', ehlo = PIPELINING, answer, dot, closesAfterDot, startTls }: Script,
) {
  const said: string[] = []
  const sockets: Socket[] = []
  const converse = (socket: Socket): void => {
    sockets.push(socket)
    let inData = false
    let rest = ''
    socket.on('error', () => {})
    socket.on('data', (chunk) => {
      const lines = `${rest}${chunk.toString()}`.split('\r\n')
      rest = lines.pop() ?? ''
      for (const line of lines) {
        if (inData && line !== '.') continue
        said.push(line)
        const own = answer?.(line, socket)
        if (own !== undefined) socket.write(own)
        else if (startTls && line === 'STARTTLS') {
          socket.write('220 go\r\n')
          socket.removeAllListeners('data')
          const secure = new TLSSocket(socket, { isServer: true, ...startTls })
          if (startTls.breaks) secure.on('error', () => {}).once('secure', () => secure.destroy())
          else converse(secure)
        } else if (inData) {
          socket.write(dot ?? '250 2.0.0 queued\r\n')
          if (closesAfterDot) socket.end()
        } else if (/^(EHLO|LHLO)/.test(line)) socket.write(ehlo)
        else if (line === 'DATA') socket.write('354 go\r\n')
        else if (line === 'QUIT') socket.end('221 bye\r\n')
        else socket.write('250 ok\r\n')
        inData = !inData && line === 'DATA' && (own ?? '354').startsWith('354')
      }
    })
  }
  const server = createServer((socket) => {
    converse(socket)
    socket.write(greeting)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  const times = { connectTimeoutMs: 5000, greetingTimeoutMs: 5000, replyTimeoutMs: 5000, dataTimeoutMs: 5000 }
  const client = new SmtpClient({
    ...{ hostname: 'mx.example.org', sources: new Map(), ...times, blockTimeoutMs: 5000, dotTimeoutMs: 5000 },
    ...{ idleMs: 60_000, maxIdle: 10, maxMessages: 100, tlsRetryMs: 1000, now: () => 0 },
  })
  t.after(() => client.close())
  const host = { name: 'odd.test', address: '127.0.0.1', port: (server.address() as AddressInfo).port }
  const open = (way: Partial<SessionWay> = {}) =>
    client.open(host, { requireTls: false, fresh: false }, { protocol: 'smtp', tls: 'none', auth: null, ...way })
  return { said, open }
}

const to = (...paths: string[]): Transaction => ({
  ...{ reversePath: 'smith@example.org', size: 100, body8bit: false, smtputf8: false, requireTls: false },
  recipients: paths.map((forwardPath) => ({ forwardPath, parameters: '' })),
})

async function* text(...parts: string[]): AsyncGenerator<Uint8Array> {
  for (const part of parts) yield Buffer.from(part)
}

const brief = (answer: Answer): string =>
  answer.kind === 'accepted'
    ? answer.reply
    : answer.kind === 'refused'
      ? `${answer.reply.to} ${answer.reply.text}`
      : `broken ${answer.afterDot ? 'after' : 'before'} the dot`

test('no reply but the one to the final dot makes mail accepted', { timeout }, async (t) => {
  const large = Array.from({ length: 64 }, () => 'x'.repeat(64 * 1024))
  const cases: [string, Script, string][] = [
    [
      'an answer to the message before it came',
      { answer: (line) => (line === 'DATA' ? '354 go\r\n250 queued\r\n' : undefined) },
      'broken before the dot',
    ],
    [
      'more replies than commands',
      { answer: (line) => (line.startsWith('MAIL') ? '250 ok\r\n250 ok\r\n250 ok\r\n' : undefined) },
      'broken before the dot',
    ],
    [
      'DATA that is only accepted',
      { answer: (line) => (line === 'DATA' ? '250 ok\r\n' : undefined) },
      'broken before the dot',
    ],
    ['a greeting with a reply behind it', { greeting: '220 hi\r\n250 extra\r\n' }, 'broken before the dot'],
    [
      'a line that is no reply',
      { answer: (line) => (line.startsWith('MAIL') ? '250-first\r\njunk\r\n250 third\r\n' : undefined) },
      'broken before the dot',
    ],
    ['four digits', { dot: '2026 disk full, message not stored\r\n' }, 'broken after the dot'],
    ['one digit', { dot: '2 not a reply code\r\n' }, 'broken after the dot'],
    ['two codes in one reply', { dot: '250-part\r\n550 refused after all\r\n' }, 'broken after the dot'],
    ['another 354', { dot: '354 go on\r\n' }, 'broken after the dot'],
    [
      'a refusal amid the message',
      { answer: (line) => (line === 'DATA' ? '354 go\r\n552 5.3.4 too large\r\n' : undefined) },
      'broken before the dot',
    ],
  ]
  for (const [what, script, expected] of cases) {
    for (const ehlo of [PIPELINING, '250 odd.test\r\n']) {
      const { open, said } = await oddPeer(t, { ehlo, ...script })
      const session = await open()
      const [answer] = await session.send(to('ann@far.test'), text(...large))
      assert.equal(answer && brief(answer), expected, what)
      session.release()
      // What comes from a peer that is out of step is not believed, and nothing more is said to it.
      const again = await open()
      assert.equal(again.reused, false, what)
      again.release()
      assert.ok(!said.some((line) => line.startsWith('RSET')), what)
    }
  }
})

test('replies that had come when the peer went are answers', { timeout }, async (t) => {
  const paths = Array.from({ length: 80 }, (_, index) => `r${index}@far.test`)
  const lmtp = await oddPeer(t, { dot: '250 2.1.5 delivered\r\n'.repeat(80), closesAfterDot: true })
  const answers = await (await lmtp.open({ protocol: 'lmtp' })).send(to(...paths), text('x'))
  assert.deepEqual(new Set(answers.map(brief)), new Set(['250 2.1.5 delivered']))

  const smtp = await oddPeer(t, {
    answer(line, socket) {
      if (line.startsWith('RCPT')) return ''
      if (line !== 'DATA') return undefined
      socket.end(`${'550 5.1.1 unknown\r\n'.repeat(80)}554 no recipients\r\n`)
      return ''
    },
  })
  const refused = await (await smtp.open()).send(to(...paths), text('x'))
  assert.deepEqual(new Set(refused.map(brief)), new Set(['RCPT 550 5.1.1 unknown']))
})

test('an address goes out as it is, whatever is in it', { timeout }, async (t) => {
  const paths = ['"a>b"@far.test', '"<x>"@far.test', '\u00a0bad@far.test', 'bad@far.test\u3000']
  const { open, said } = await oddPeer(t, {
    answer: (line) => (line.includes('\u00a0') ? '550 5.1.1 unknown\r\n' : undefined),
  })
  const answers = await (await open()).send({ ...to(...paths), reversePath: '"q>"@example.org' }, text('x'))
  assert.deepEqual(
    said.filter((line) => /^(MAIL|RCPT)/.test(line)),
    ['MAIL FROM:<"q>"@example.org>', ...paths.map((path) => `RCPT TO:<${path}>`)],
  )
  assert.deepEqual(
    answers.map(({ kind }) => kind),
    ['accepted', 'accepted', 'refused', 'accepted'],
  )
})

for (const [what, refused] of [
  ['MAIL', /^(MAIL|RCPT|DATA)/],
  ['every recipient', /^RCPT/],
  ['the message', /^\.$/],
] as const)
  for (const ehlo of [PIPELINING, '250 odd.test\r\n'])
    test(
      `a session whose peer refused ${what} goes on with the next message, ${ehlo === PIPELINING ? 'pipelined' : 'one by one'}`,
      { timeout },
      async (t) => {
        let refusing = true
        const { open, said } = await oddPeer(t, {
          ehlo,
          answer: (line) => (refusing && refused.test(line) ? '550 5.7.1 no\r\n' : undefined),
        })
        const session = await open()
        const [first] = await session.send(to('ann@far.test'), text('x'))
        assert.equal(first?.kind, 'refused')
        session.release()
        refusing = false
        const again = await open()
        assert.equal(again.reused, true)
        const [second] = await again.send(to('bob@far.test'), text('y'))
        assert.equal(second?.kind, 'accepted')
        assert.equal(said.filter((line) => line === 'RSET').length, 1)
        assert.equal(said.filter((line) => line.startsWith('EHLO')).length, 1)
      },
    )

test('whoever refuses a session is told that we go', { timeout }, async (t) => {
  for (const script of [
    { greeting: '554 5.7.1 not you\r\n' },
    {
      ehlo: '550 5.7.1 not you\r\n',
      answer: (line: string) => (line.startsWith('HELO') ? '550 5.7.1 no\r\n' : undefined),
    },
  ]) {
    const { open, said } = await oddPeer(t, script)
    await assert.rejects(open(), SessionFailed)
    while (said.at(-1) !== 'QUIT') await new Promise((resolve) => setImmediate(resolve))
  }
})

test('nothing on the first line of the reply to EHLO is an offer', { timeout }, async (t) => {
  const { open, said } = await oddPeer(t, { ehlo: '250-mail.odd.test PIPELINING SIZE 10\r\n250 HELP\r\n' })
  const session = await open()
  assert.deepEqual([session.peer.offers('PIPELINING'), session.peer.maxSize], [false, 0])
  assert.equal((await session.send(to('ann@far.test'), text('x')))[0]?.kind, 'accepted')
  assert.ok(said.includes('MAIL FROM:<smith@example.org>'))
})

test('an LMTP server that waits for a message to nobody is left at once', { timeout }, async (t) => {
  const { open } = await oddPeer(t, {
    answer: (line) => (line.startsWith('RCPT') ? '550 5.1.1 unknown\r\n' : undefined),
  })
  const session = await open({ protocol: 'lmtp' })
  assert.deepEqual((await session.send(to('ann@far.test'), text('x'))).map(brief), ['RCPT 550 5.1.1 unknown'])
  session.release()
  assert.equal((await open({ protocol: 'lmtp' })).reused, false)
})

test(
  'TLS that the peer breaks off when it is complete for us is TLS that failed: mail goes on in the clear',
  { timeout },
  async (t) => {
    const { ca: cert, keyFile } = await testCertificate(t)
    const key = await readFile(keyFile, 'utf8')
    const { open, said } = await oddPeer(t, {
      ehlo: '250-odd.test\r\n250 STARTTLS\r\n',
      startTls: { cert, key, breaks: true },
    })
    const session = await open({ tls: 'opportunistic' })
    assert.equal(session.peer.secure, false)
    assert.equal((await session.send(to('ann@far.test'), text('x')))[0]?.kind, 'accepted')
    assert.equal(said.filter((line) => line === 'STARTTLS').length, 1)
    await assert.rejects(open({ tls: 'required' }), TlsMissing)
  },
)

test('a password goes by a mechanism that was offered, or not at all', { timeout }, async (t) => {
  const { ca: cert, keyFile } = await testCertificate(t)
  const key = await readFile(keyFile, 'utf8')
  for (const [offer, expected] of [
    ['250 AUTH GSSAPI SCRAM-SHA-256 XOAUTH2', undefined],
    ['250 AUTH=LOGIN PLAIN', 'AUTH PLAIN'],
  ] as const) {
    const { open, said } = await oddPeer(t, {
      ehlo: `250-odd.test\r\n250-STARTTLS\r\n${offer}\r\n`,
      startTls: { cert, key, breaks: false },
      answer: (line) => (line.startsWith('AUTH') ? '235 in\r\n' : undefined),
    })
    const opened = open({ tls: 'opportunistic', auth: { user: 'us', password: 'secret' } })
    if (expected === undefined) await assert.rejects(opened, SessionFailed)
    else (await opened).release()
    assert.equal(said.find((line) => line.startsWith('AUTH'))?.slice(0, 10), expected)
  }
})
