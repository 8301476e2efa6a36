/** The client against a real listener. What goes over the wire is what counts: an upgrade of the library must not change it. */
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { test, type TestContext } from 'node:test'

import { type CertificateOptions, type SinkOptions, startSmtpSink, testCertificate } from '@postbus/testkit'

import { SessionFailed, TlsMissing, type Transaction } from '../attempt/session.ts'
import { SmtpClient, type SmtpClientOptions, type SessionWay } from './smtp-client.ts'
import { parseSourcePools } from './source-pools.ts'

async function* text(...parts: string[]): AsyncGenerator<Uint8Array> {
  for (const part of parts) yield Buffer.from(part)
}

async function pair(t: TestContext, options: CertificateOptions = {}): Promise<{ cert: string; key: string }> {
  const { ca, keyFile } = await testCertificate(t, options)
  return { cert: ca, key: await readFile(keyFile, 'utf8') }
}

const recipients = (...paths: string[]) => paths.map((forwardPath) => ({ forwardPath, parameters: '' }))
const transaction = (changes: Partial<Transaction> = {}): Transaction => ({
  reversePath: 'smith@example.org',
  recipients: recipients('ann@far.test'),
  size: 100,
  body8bit: false,
  smtputf8: false,
  requireTls: false,
  ...changes,
})

const way = (changes: Partial<SessionWay> = {}): SessionWay => ({
  ...{ protocol: 'smtp', tls: 'opportunistic', auth: null },
  ...changes,
})

async function dialogue(t: TestContext, sinkOptions: SinkOptions = {}, clientOptions: Partial<SmtpClientOptions> = {}) {
  const sink = await startSmtpSink(t, sinkOptions)
  const client = new SmtpClient({
    hostname: 'mx.example.org',
    sources: new Map(),
    connectTimeoutMs: 2000,
    greetingTimeoutMs: 2000,
    replyTimeoutMs: 2000,
    dataTimeoutMs: 2000,
    blockTimeoutMs: 2000,
    dotTimeoutMs: 2000,
    idleMs: 60_000,
    maxIdle: 10,
    maxMessages: 100,
    tlsRetryMs: 1000,
    now: () => 0,
    ...clientOptions,
  })
  t.after(() => client.close())
  const host = { name: 'localhost', address: '127.0.0.1', port: sink.port }
  const open = (options = {}, over: Partial<SessionWay> = {}) =>
    client.open(host, { requireTls: false, fresh: false, ...options }, way(over))
  return { sink, open, commands: () => sink.commands as string[] }
}

test('a message arrives as it is, with dots and line ends', async (t) => {
  const { sink, open } = await dialogue(t)
  const session = await open()
  const [answer] = await session.send(transaction(), text('Subject: x\r\n\r\n.one\r\n..two\r', '\n.\r\nend'))
  session.release()
  assert.equal(answer?.kind, 'accepted')
  assert.equal(sink.messages[0]?.data.toString(), 'Subject: x\r\n\r\n.one\r\n..two\r\n.\r\nend\r\n')
})

test('parameters of MAIL and of each RCPT go out as the transaction says', async (t) => {
  const { open, commands } = await dialogue(t)
  const session = await open()
  const { peer } = session
  assert.deepEqual([peer.name, peer.secure, peer.offers('DSN'), peer.maxSize], ['sink.test', false, true, 52428800])
  await session.send(
    transaction({
      recipients: [
        { forwardPath: 'ann@far.test', parameters: 'NOTIFY=SUCCESS,DELAY ORCPT=rfc822;a+2Bb@x.test' },
        { forwardPath: 'bob@far.test', parameters: 'NOTIFY=NEVER' },
        { forwardPath: 'cid@far.test', parameters: '' },
      ],
      size: 123,
      body8bit: true,
      smtputf8: true,
      ret: 'HDRS',
      envid: 'E 1',
    }),
    text('x'),
  )
  const [mail, ...rcpt] = commands().filter((line) => /^(MAIL|RCPT)/.test(line))
  assert.match(mail ?? '', /^MAIL FROM:<smith@example.org> /)
  const words = ['BODY=8BITMIME', 'ENVID=E+201', 'RET=HDRS', 'SIZE=123', 'SMTPUTF8']
  assert.deepEqual(mail?.split(' ').slice(2).sort(), words)
  assert.deepEqual(rcpt, [
    'RCPT TO:<ann@far.test> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;a+2Bb@x.test',
    'RCPT TO:<bob@far.test> NOTIFY=NEVER',
    'RCPT TO:<cid@far.test>',
  ])
})

test('the null reverse-path stays null', async (t) => {
  const { sink, open } = await dialogue(t)
  await (await open()).send(transaction({ reversePath: '' }), text('x'))
  assert.equal(sink.messages[0]?.reversePath, '')
})

for (const extensions of [['PIPELINING'], []]) {
  test(`each recipient gets its own answer, ${extensions[0] ?? 'one command at a time'}`, async (t) => {
    const { open } = await dialogue(t, { extensions })
    const all = recipients('ann@far.test', 'permfail@far.test', 'tempfail@far.test', 'bob@far.test')
    const answers = await (await open()).send(transaction({ recipients: all }), text('x'))
    assert.deepEqual(
      answers.map((answer) =>
        answer.kind === 'refused' ? [answer.reply.to, answer.reply.text.slice(0, 3)] : answer.kind,
      ),
      ['accepted', ['RCPT', '550'], ['RCPT', '451'], 'accepted'],
    )
  })

  test(`a refusal of the message does not overwrite refusals of recipients, ${extensions[0] ?? 'one by one'}`, async (t) => {
    const { open } = await dialogue(t, { extensions })
    const all = recipients('permdata@far.test', 'tempfail@far.test')
    const answers = await (await open()).send(transaction({ recipients: all }), text('x'))
    assert.deepEqual(
      answers.map((answer) => answer.kind === 'refused' && [answer.reply.to, answer.reply.text.slice(0, 3)]),
      [
        ['DATA', '554'],
        ['RCPT', '451'],
      ],
    )
  })

  test(`a refusal of the reverse-path is everybody's answer, ${extensions[0] ?? 'one by one'}`, async (t) => {
    const { open } = await dialogue(t, { extensions })
    for (const [reversePath, reply] of [
      ['tempmail@example.org', '451 4.3.0 not now'],
      ['mail421@example.org', '421 as asked'],
    ] as const) {
      const all = recipients('ann@far.test', 'permfail@far.test')
      const answers = await (await open()).send(transaction({ reversePath, recipients: all }), text('x'))
      assert.deepEqual(
        answers,
        all.map(() => ({ kind: 'refused', reply: { to: 'MAIL', text: reply } })),
      )
    }
  })

  test(`when all recipients are refused nothing is sent, ${extensions[0] ?? 'one by one'}`, async (t) => {
    const { sink, open } = await dialogue(t, { extensions })
    const answers = await (await open()).send(transaction({ recipients: recipients('permfail@far.test') }), text('x'))
    assert.equal(answers[0]?.kind === 'refused' && answers[0].reply.text, '550 5.1.1 nobody of that name')
    assert.equal(sink.messages.length, 0)
  })
}

test('a session that ends before the final dot is told from one that ends after it', async (t) => {
  const { sink, open } = await dialogue(t)
  for (const [path, afterDot] of [
    ['dropdata@far.test', false],
    ['dropdot@far.test', true],
  ] as const) {
    const large = Buffer.alloc(1024 * 1024, 'x\r\n')
    const session = await open({ fresh: true })
    const body = (async function* () {
      yield* path.startsWith('dropdata') ? [large, large, large, large] : [large]
    })()
    const [answer] = await session.send(transaction({ recipients: recipients(path) }), body)
    assert.equal(answer?.kind, 'broken')
    assert.equal(answer?.kind === 'broken' && answer.afterDot, afterDot, path)
    session.release()
  }
  assert.equal(sink.messages.length, 1)
})

test('a peer that breaks the protocol is answered for by what it said, and by nothing else', async (t) => {
  const { sink, open } = await dialogue(t)
  const cases: [to: string, answer: string, changes?: Partial<Transaction>][] = [
    ['halfrcpt@far.test', 'broken before the dot'],
    ['garbage@far.test', 'broken before the dot'],
    ['rcpt299@far.test', 'accepted'],
    ['rcpt499@far.test', 'RCPT 499 as asked'],
    ['rcpt354@far.test', 'RCPT 354 as asked'],
    ['manylines@far.test', 'accepted'],
    ['bytewise@far.test', 'accepted'],
    ['wrongdata@far.test', 'broken before the dot'],
    ['data554@far.test', 'DATA 554 as asked'],
    ['toolarge@far.test', 'DATA 552 5.3.4 too large after all'],
    ['ann@far.test', 'MAIL 550 5.7.1 not from you', { reversePath: 'permmail@example.org' }],
    ['floodrcpt@far.test', 'broken before the dot'],
    ['droprcpt@far.test', 'broken before the dot'],
    ['dropbegin@far.test', 'broken before the dot'],
    ['silentrcpt@far.test', 'broken before the dot'],
    ['halfdot@far.test', 'broken after the dot'],
    ['silentdot@far.test', 'broken after the dot'],
  ]
  for (const [path, expected, changes] of cases) {
    const session = await open({ fresh: true })
    const [answer] = await session.send(transaction({ recipients: recipients(path), ...changes }), text('x'))
    session.release()
    const brief =
      answer?.kind === 'refused'
        ? `${answer.reply.to} ${answer.reply.text}`
        : answer?.kind === 'broken'
          ? `broken ${answer.afterDot ? 'after' : 'before'} the dot`
          : answer?.kind
    assert.equal(brief, expected, path)
  }
  // The one that was kept in silence among them.
  assert.equal(sink.messages.length, 4)
})

test('a host that knows no EHLO is spoken to as one that offers nothing', async (t) => {
  const { open } = await dialogue(t, { heloOnly: true })
  const session = await open()
  assert.deepEqual([session.peer.offers('PIPELINING'), session.peer.maxSize], [false, 0])
  assert.equal((await session.send(transaction(), text('x')))[0]?.kind, 'accepted')
})

test('what a peer says cannot do harm where it is shown', async (t) => {
  const { open } = await dialogue(t, { greeting: '554-\u001b[31mred\n554 \u202egrün\u0000' })
  await assert.rejects(
    open(),
    (error) => error instanceof SessionFailed && error.reply === '554-\ufffd[31mred\n554 \ufffdgrün\ufffd',
  )
})

test('421 ends the session, and says nothing for good', async (t) => {
  const { open } = await dialogue(t)
  const [answer] = await (await open()).send(transaction({ recipients: recipients('closing@far.test') }), text('x'))
  assert.equal(answer?.kind === 'refused' && answer.reply.text, '421 4.3.2 closing')
})

test('a message that cannot be read to its end is not sent', async (t) => {
  const { sink, open } = await dialogue(t)
  const session = await open()
  const body = (async function* () {
    yield Buffer.from('Subject: x\r\n\r\nhalf of it')
    throw new Error('checksum')
  })()
  await assert.rejects(session.send(transaction(), body), /checksum/)
  session.release()
  const next = await open()
  assert.equal(next.reused, false)
  await next.send(transaction(), text('whole'))
  assert.deepEqual(
    sink.messages.map(({ data }) => data.toString()),
    ['whole\r\n'],
  )
})

test('messages to one host share a session, and an ended one is told by its answer', async (t) => {
  const { sink, open } = await dialogue(t)
  for (let message = 0; message < 15; message++) {
    const session = await open()
    assert.equal(session.reused, message > 0)
    await session.send(transaction(), text('x'))
    session.release()
  }
  assert.equal(sink.sessions, 1)
  await sink.close()
  await sink.reopen()
  const session = await open()
  if (session.reused) {
    const [answer] = await session.send(transaction(), text('x'))
    assert.equal(answer?.kind === 'broken' && answer.afterDot, false)
    session.release()
  }
  assert.equal((await open()).reused, false)
})

test('STARTTLS is used where it is offered, and mail goes on in the clear where it fails', async (t) => {
  const tls = await pair(t)
  const cases: [SinkOptions, boolean][] = [
    [{ tls }, true],
    [{}, false],
    [{ starttlsReply: '454 4.7.0 not now' }, false],
    [{ starttlsReply: '220 2.0.0 but then no handshake' }, false],
    [{ tlsBroken: 'garbage' }, false],
    [{ tlsBroken: 'cut' }, false],
    // RFC 7435: encrypted for anybody is better than in the clear.
    [{ tls: await pair(t, { expired: true }) }, true],
    [{ tls: await pair(t, { name: 'elsewhere.test' }) }, true],
  ]
  for (const [options, secure] of cases) {
    const { sink, open } = await dialogue(t, options)
    const session = await open()
    assert.equal(session.peer.secure, secure)
    assert.equal((await session.send(transaction(), text('x')))[0]?.kind, 'accepted')
    assert.equal(sink.messages[0]?.secure, secure)
    session.release()
  }
})

test('a message that requires TLS goes over verified TLS or not at all', async (t) => {
  const tls = await pair(t)
  for (const options of [{}, { tls }, { starttlsReply: '454 no' }]) {
    const { sink, open } = await dialogue(t, options)
    await assert.rejects(
      open({ requireTls: true }),
      (error) => error instanceof TlsMissing || error instanceof SessionFailed,
    )
    assert.equal(sink.messages.length, 0)
  }
})

test('a host that refuses to talk, or is not there, is no session', async (t) => {
  const { open, sink } = await dialogue(t, { greeting: '554 5.3.2 go away' })
  await assert.rejects(open(), (error) => error instanceof SessionFailed && error.reply === '554 5.3.2 go away')
  await sink.close()
  await assert.rejects(open(), (error) => error instanceof SessionFailed && error.reply === undefined)
})

test('a host that is silent is given up', async (t: TestContext) => {
  const { open } = await dialogue(t, { greeting: '220-silence' })
  await assert.rejects(open(), SessionFailed)
})

const login = { user: 'us', password: 'secret' }

test('credentials go over TLS that is verified, unless the way says that it need not be', async (t) => {
  const tls = await pair(t)
  const trusting = { ca: [tls.cert] }
  const { sink, open } = await dialogue(t, { tls, auth: login }, trusting)
  const session = await open({}, { tls: 'required', auth: login })
  assert.deepEqual([session.peer.secure, session.peer.offers('8BITMIME'), session.peer.maxSize], [true, true, 52428800])
  assert.equal((await session.send(transaction(), text('x')))[0]?.kind, 'accepted')
  assert.deepEqual([sink.messages[0]?.user, sink.messages[0]?.secure], ['us', true])

  const unknown = await dialogue(t, { tls, auth: login })
  await assert.rejects(unknown.open({}, { tls: 'required', auth: login }), TlsMissing)
  assert.ok(!unknown.commands().some((line) => line.startsWith('AUTH')))
  const unverified = await unknown.open({}, { tls: 'opportunistic', auth: login })
  assert.equal((await unverified.send(transaction(), text('x')))[0]?.kind, 'accepted')
})

test('credentials never go in the clear', async (t) => {
  for (const sinkOptions of [{}, { starttlsReply: '454 4.7.0 not now' }, { starttlsReply: '220 2.0.0 no handshake' }]) {
    const { open, commands } = await dialogue(t, { ...sinkOptions, auth: login })
    for (const tls of ['opportunistic', 'required', 'none'] as const) {
      await assert.rejects(
        open({}, { tls, auth: login }),
        (error) => error instanceof TlsMissing || error instanceof SessionFailed,
      )
    }
    assert.ok(!commands().some((line) => line.startsWith('AUTH')))
  }
})

test('wrong credentials are no session, with what the peer said', async (t) => {
  const tls = await pair(t)
  const { open } = await dialogue(t, { tls, auth: login }, { ca: [tls.cert] })
  await assert.rejects(
    open({}, { tls: 'required', auth: { user: 'us', password: 'wrong' } }),
    (error) => error instanceof SessionFailed && error.reply === '535 5.7.8 wrong',
  )
})

test('implicit TLS is encrypted before anything is said, and verified', async (t) => {
  const tls = await pair(t)
  const { sink, open, commands } = await dialogue(t, { tls, implicitTls: true, auth: login }, { ca: [tls.cert] })
  const session = await open({}, { tls: 'implicit', auth: login })
  assert.equal((await session.send(transaction(), text('x')))[0]?.kind, 'accepted')
  assert.equal(sink.messages[0]?.secure, true)
  assert.ok(!commands().includes('STARTTLS'))
  const unknown = await dialogue(t, { tls, implicitTls: true })
  await assert.rejects(unknown.open({}, { tls: 'implicit' }), TlsMissing)
})

test('a way with TLS off does not ask for it', async (t) => {
  const { open, commands } = await dialogue(t, { tls: await pair(t) })
  assert.equal((await open({}, { tls: 'none' })).peer.secure, false)
  assert.ok(!commands().includes('STARTTLS'))
})

test('a broken STARTTLS costs one message a failed handshake, and is tried again after a while', async (t) => {
  let now = 0
  const { sink, open, commands } = await dialogue(
    t,
    { starttlsReply: '220 2.0.0 but then no handshake' },
    { now: () => now },
  )
  const tried = () => commands().filter((line) => line === 'STARTTLS').length
  for (let message = 0; message < 3; message++) {
    const session = await open({ fresh: true })
    assert.equal(session.peer.secure, false)
    session.close()
  }
  assert.deepEqual([tried(), sink.sessions], [1, 4])
  now = 1001
  await open({ fresh: true })
  assert.equal(tried(), 2)
})

for (const extensions of [['PIPELINING'], []]) {
  test(`over LMTP each recipient has its own answer to the data, ${extensions[0] ?? 'one by one'}`, async (t) => {
    const { sink, open, commands } = await dialogue(t, { lmtp: true, extensions })
    const session = await open({}, { protocol: 'lmtp' })
    const all = recipients(
      'ann@far.test',
      'permdata@far.test',
      'permfail@far.test',
      'tempdata@far.test',
      'bob@far.test',
    )
    const answers = await session.send(transaction({ recipients: all }), text('x'))
    assert.deepEqual(
      answers.map((answer) =>
        answer.kind === 'refused' ? [answer.reply.to, answer.reply.text] : 'reply' in answer && answer.reply,
      ),
      [
        '250 2.1.5 <ann@far.test> delivered',
        ['DATA', '550 5.2.1 mailbox disabled'],
        ['RCPT', '550 5.1.1 nobody of that name'],
        ['DATA', '452 4.2.2 mailbox full'],
        '250 2.1.5 <bob@far.test> delivered',
      ],
    )
    session.release()
    const again = await open({}, { protocol: 'lmtp' })
    assert.equal(again.reused, true)
    assert.equal((await again.send(transaction(), text('x')))[0]?.kind, 'accepted')
    assert.equal(sink.messages.length, 2)
    assert.equal(commands().filter((line) => line.startsWith('LHLO')).length, 1)
  })
}

test('an LMTP server that goes away amid its answers has taken those it answered for', async (t) => {
  const { open } = await dialogue(t, { lmtp: true })
  const session = await open({}, { protocol: 'lmtp' })
  const all = recipients('ann@far.test', 'dropdot@far.test', 'bob@far.test')
  const answers = await session.send(transaction({ recipients: all }), text('x'))
  assert.deepEqual(
    answers.map((answer) => (answer.kind === 'broken' ? answer.afterDot : answer.kind)),
    ['accepted', true, true],
  )
})

test('a session comes from an address of the pool that the way names, with its name', async (t) => {
  const sources = parseSourcePools('bulk@bulk.example.org=127.0.0.7 default=127.0.0.8,::1 six=::1')
  assert.ok(typeof sources !== 'string')
  const { sink, open } = await dialogue(t, {}, { sources })
  const ways = [{}, { source: 'bulk' }, { source: 'bulk', helo: 'news.example.org' }]
  for (const over of ways) await (await open({}, over)).send(transaction(), text('x'))
  assert.deepEqual(
    sink.messages.map(({ clientAddress, helo }) => [clientAddress, helo]),
    [
      ['127.0.0.8', 'mx.example.org'],
      ['127.0.0.7', 'bulk.example.org'],
      ['127.0.0.7', 'news.example.org'],
    ],
  )
  for (const source of ['six', 'nowhere']) await assert.rejects(open({}, { source }), SessionFailed)
})

test('a session is used again only by who would have made the same', async (t) => {
  const { open } = await dialogue(t)
  ;(await open()).release()
  const others: Partial<SessionWay>[] = [{ tls: 'none' }, { helo: 'other.example.org' }, { protocol: 'lmtp' }]
  for (const over of others) assert.equal((await open({}, over).catch(() => null))?.reused ?? false, false)
  assert.equal((await open()).reused, true)
})

test('only so many sessions wait for a next message, the newest', async (t) => {
  const { open } = await dialogue(t, {}, { maxIdle: 2 })
  const names = ['a.example.org', 'b.example.org', 'c.example.org']
  for (const helo of names) (await open({}, { helo })).release()
  const reused = []
  for (const helo of names.toReversed()) reused.push((await open({}, { helo })).reused)
  assert.deepEqual(reused, [true, true, false])
})

test('no more messages go over a session than its way allows', async (t) => {
  const { sink, open } = await dialogue(t)
  for (let message = 0; message < 4; message++) {
    const session = await open({}, { maxMessages: 2 })
    await session.send(transaction(), text('x'))
    session.release()
  }
  assert.equal(sink.sessions, 2)
})
