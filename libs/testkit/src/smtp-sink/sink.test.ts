import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { test, type TestContext } from 'node:test'

import { testCertificate } from '../certificate.ts'
import { Conversation } from '../conversation.ts'
import { BEHAVIOURS, behaviourOf } from './behaviours.ts'
import type { SinkOptions } from './options.ts'
import { startSmtpSink } from './sink.ts'

async function talk(t: TestContext, options: SinkOptions = {}) {
  const sink = await startSmtpSink(t, options)
  const client = await Conversation.open({ port: sink.port, host: sink.host })
  t.after(() => client.close())
  /** All lines of one reply; null when the connection was closed instead. */
  const reply = async (): Promise<string | null> => {
    const lines: string[] = []
    for (;;) {
      const line = await client.line()
      if (line === null || line === '') return lines.length > 0 ? lines.join('\n') : null
      lines.push(line)
      if (line[3] !== '-') return lines.join('\n')
    }
  }
  const say = (line: string): Promise<string | null> => {
    client.write(`${line}\r\n`)
    return reply()
  }
  const code = async (line: string): Promise<string | undefined> => (await say(line))?.slice(0, 3)
  /** Up to the reply to the last step that was reached. */
  const send = async (from: string, to: string, data = 'Subject: x\r\n\r\nhello\r\n') => {
    const steps = [`MAIL FROM:<${from}>`, `RCPT TO:<${to}>`, 'DATA']
    let said: string | null = null
    for (const step of steps) {
      said = await say(step)
      if (said === null || !/^[23]/.test(said)) return said
    }
    return say(`${data}.`)
  }
  return { sink, client, reply, say, code, send }
}

test('each row of the table is reached by its own name', () => {
  for (const behaviour of BEHAVIOURS) assert.equal(behaviourOf(behaviour.at, `${behaviour.prefix}-1@x.test`), behaviour)
  assert.equal(behaviourOf('RCPT', 'ann@x.test'), undefined)
})

test('an address is answered as its row says, and the session goes on', async (t) => {
  const { reply, say, send } = await talk(t, { slowMs: 1, maxSize: 100 })
  assert.match((await reply()) ?? '', /^220 /)
  const cases: [from: string, to: string, said: RegExp][] = [
    ['a@x.test', 'ann@x.test', /^250 2\.0\.0 kept as 1/],
    ['tempmail@x.test', 'ann@x.test', /^451/],
    ['mail552@x.test', 'ann@x.test', /^552/],
    ['a@x.test', 'tempfail@x.test', /^451/],
    ['a@x.test', 'greylist@x.test', /^451 4\.7\.1 greylisted/],
    ['a@x.test', 'greylist@x.test', /^250/],
    ['a@x.test', 'quota@x.test', /^552 5\.2\.2/],
    ['a@x.test', 'rcpt499@x.test', /^499/],
    ['a@x.test', 'rcpt299@x.test', /^250 2\.0\.0 kept/],
    ['a@x.test', 'garbage@x.test', /^what is this/],
    ['a@x.test', 'manylines@x.test', /^250 2\.0\.0 kept/],
    ['a@x.test', 'bytewise@x.test', /^250 2\.0\.0 kept/],
    ['a@x.test', 'slow@x.test', /^250 2\.0\.0 kept/],
    ['a@x.test', 'data554@x.test', /^554/],
    ['a@x.test', 'wrongdata@x.test', /^250 2\.0\.0 kept/],
    ['a@x.test', 'permdata@x.test', /^554 5\.6\.0/],
    ['a@x.test', 'dotslow@x.test', /^250 2\.0\.0 kept/],
  ]
  for (const [from, to, said] of cases) {
    assert.match((await send(from, to)) ?? 'closed', said, `${from} ${to}`)
    await say('RSET')
  }
  assert.match((await say('MAIL FROM:<a@x.test> SIZE=101')) ?? '', /^552/)
  assert.match((await send('a@x.test', 'ann@x.test', `${'x'.repeat(100)}\r\n`)) ?? '', /^552/)
})

test('a connection ends where it is to end, and what was kept is known', async (t) => {
  const cases: [to: string, rest: string | null, kept: number][] = [
    ['droprcpt@x.test', null, 0],
    ['halfrcpt@x.test', '550 5.1', 0],
    ['closing@x.test', '421 4.3.2 closing', 0],
    ['dropbegin@x.test', null, 0],
    ['dropdata@x.test', null, 0],
    ['dropmiddle@x.test', null, 0],
    ['dropdot@x.test', null, 1],
    ['halfdot@x.test', '250 2.0', 0],
  ]
  for (const [to, rest, kept] of cases) {
    const { sink, client, reply, send } = await talk(t)
    await reply()
    const said = await send('a@x.test', to).catch(() => null)
    const left = client.fault ? null : await client.rest()
    assert.equal((said ?? left) || null, rest, to)
    assert.equal(sink.messages.length, kept, to)
  }
})

test('a sink can be unusable throughout', async (t) => {
  const refusing = await talk(t, { greeting: '421-one moment\n421 too many connections' })
  assert.equal(await refusing.reply(), '421-one moment\n421 too many connections')
  assert.equal(await refusing.reply(), null)
  const old = await talk(t, { heloOnly: true })
  await old.reply()
  assert.deepEqual([await old.code('EHLO me'), await old.code('HELO me')], ['502', '250'])
  const dropping = await talk(t, { dropAt: 'MAIL' })
  await dropping.reply()
  assert.deepEqual([await dropping.code('EHLO me'), await dropping.code('MAIL FROM:<a@x.test>')], ['250', undefined])
  for (const tlsBroken of ['garbage', 'cut'] as const) {
    const broken = await talk(t, { tlsBroken })
    await broken.reply()
    assert.match((await broken.say('EHLO me')) ?? '', /STARTTLS/)
    assert.equal(await broken.code('STARTTLS'), '220')
    await assert.rejects(broken.client.startTls())
  }
})

test('STARTTLS forgets what was said before', async (t) => {
  const { ca, keyFile } = await testCertificate(t)
  const { sink, client, reply, code } = await talk(t, { tls: { cert: ca, key: await readFile(keyFile, 'utf8') } })
  await reply()
  await code('EHLO me')
  assert.equal(await code('STARTTLS'), '220')
  await client.startTls()
  assert.equal(await code('RCPT TO:<ann@x.test>'), '503')
  const [session] = sink.bySession
  assert.deepEqual([session?.commands, session?.messages, session?.secure, session?.helo], [3, 0, true, 'me'])
})

test('who must log in is refused before, and is known afterwards', async (t) => {
  const base64 = (text: string): string => Buffer.from(text).toString('base64')
  for (const steps of [[`AUTH PLAIN ${base64('\0us\0secret')}`], ['AUTH LOGIN', base64('us'), base64('secret')]]) {
    const { sink, reply, code, send } = await talk(t, { auth: { user: 'us', password: 'secret' } })
    await reply()
    assert.equal(await code('MAIL FROM:<a@x.test>'), '530')
    assert.equal(await code(`AUTH PLAIN ${base64('\0us\0guess')}`), '535')
    const codes: (string | undefined)[] = []
    for (const step of steps) codes.push(await code(step))
    assert.equal(codes.at(-1), '235')
    await send('a@x.test', 'ann@x.test')
    assert.equal(sink.messages[0]?.user, 'us')
  }
})

test('LMTP answers each recipient after the data', async (t) => {
  const { sink, reply, code, say } = await talk(t, { lmtp: true })
  await reply()
  assert.deepEqual([await code('EHLO me'), await code('LHLO me')], ['500', '250'])
  await code('MAIL FROM:<a@x.test>')
  for (const to of ['ann', 'tempdata', 'permdata']) await code(`RCPT TO:<${to}@x.test>`)
  await code('DATA')
  assert.match((await say('x\r\n.')) ?? '', /^250 2\.1\.5 <ann@x\.test>/)
  assert.match((await reply()) ?? '', /^452/)
  assert.match((await reply()) ?? '', /^550/)
  assert.deepEqual(
    sink.messages.map(({ recipients, helo }) => [recipients.length, helo]),
    [[1, 'me']],
  )
})

test('data comes out as it was meant, however it is cut, and a digest is all that needs to be kept', async (t) => {
  const text = 'one\r\n.two\r\n..three\r\n\r\n.\nfour\r.\r\n'
  const sent = `${text.replaceAll('\r\n.', '\r\n..')}.\r\n`
  for (const keep of ['messages', 'digests'] as const) {
    const { sink, client, reply, code } = await talk(t, { keep })
    await reply()
    for (let size = 1; size <= sent.length; size++) {
      for (const line of ['MAIL FROM:<a@x.test>', 'RCPT TO:<ann@x.test>', 'DATA']) await code(line)
      for (let at = 0; at < sent.length; at += size) {
        client.write(sent.slice(at, at + size))
        await new Promise((resolve) => setImmediate(resolve))
      }
      assert.match((await reply()) ?? '', /^250/)
    }
    const sha256 = createHash('sha256').update(text).digest('hex')
    for (const message of sink.messages) {
      assert.deepEqual([message.bytes, message.sha256], [text.length, sha256])
      assert.equal(message.data.toString(), keep === 'messages' ? text : '')
    }
    assert.equal(sink.counts['DATA'], sent.length)
    assert.equal(sink.commands.length, keep === 'messages' ? 3 * sent.length : 0)
    assert.equal(sink.mostOpen, 1)
  }
})

test('as a process of its own it prints facts and totals', async (t) => {
  const program = join(import.meta.dirname, '../../bin/smtp-sink.ts')
  const child = spawn(process.execPath, [program, '--digests', '--name', 'mx.far.test'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  t.after(() => child.kill('SIGKILL'))
  const facts = createInterface(child.stdout)[Symbol.asyncIterator]()
  const next = async () => JSON.parse((await facts.next()).value ?? '{}') as Record<string, unknown> // It prints JSON.
  const { fact, port } = await next()
  assert.equal(fact, 'listening')
  const client = await Conversation.open({ port: Number(port) })
  assert.match((await client.line()) ?? '', /^220 mx\.far\.test /)
  for (const line of ['MAIL FROM:<a@x.test>', 'RCPT TO:<ann@x.test>', 'DATA', 'x\r\n.']) {
    client.write(`${line}\r\n`)
    await client.line()
  }
  assert.deepEqual(await next(), {
    ...{ fact: 'message', reversePath: 'a@x.test', mailParameters: '', bytes: 3, session: 1, secure: false },
    ...{ user: null, clientAddress: '127.0.0.1', helo: '' },
    recipients: [{ forwardPath: 'ann@x.test', parameters: '' }],
    sha256: createHash('sha256').update('x\r\n').digest('hex'),
  })
  child.kill('SIGTERM')
  const { messages, sessions } = await next()
  assert.deepEqual([messages, sessions], [1, 1])
  assert.deepEqual(await once(child, 'exit'), [0, null])
})
