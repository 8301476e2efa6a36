/** Clients that say all they have to say, close their side and listen: `nc -N`, `socat`, many a script. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { connect as connectTls } from 'node:tls'

import { testCertificate } from '@postbus/testkit'
import { Registry } from '@postbus/metrics'
import pino from 'pino'

import { connectionMetrics, listenTcp, type TcpConnection } from '../src/index.ts'
import { startListener } from './support.ts'

const timeout = 60_000
const host = '127.0.0.1'

/** All that the server says to somebody who says `words` and closes. */
async function heard(port: number, words: string, ca?: string): Promise<string> {
  const half = { host, port, allowHalfOpen: true }
  const socket: Socket = ca === undefined ? connect(half) : connectTls({ ...half, ca, servername: 'localhost' })
  socket.end(words)
  return text(socket)
}

/** Answers each line a turn later than it came. */
async function slowEcho({ socket }: TcpConnection): Promise<void> {
  for await (const chunk of socket) {
    for (const line of String(chunk).trimEnd().split('\r\n')) {
      await turn()
      socket.write(`${line}!\r\n`)
    }
  }
}

for (const way of ['in the clear', 'inside TLS'])
  test(`an SMTP client that has closed its side hears every answer, ${way}`, { timeout }, async (t) => {
    const tls = await testCertificate(t)
    const implicitTls = way === 'inside TLS'
    const { port, taken } = await startListener(t, { tls, implicitTls })
    const words = ['EHLO a.test', 'MAIL FROM:<a@a.test>', 'RCPT TO:<slow@example.org>', 'DATA', 'body', '.', 'NOO']
    const replies = (await heard(port, words.join('\r\n'), implicitTls ? tls.ca : undefined)).split('\r\n')
    assert.deepEqual(
      replies.filter((line) => line[3] === ' ').map((line) => line.slice(0, 3)),
      ['220', '250', '250', '250', '354', '250'],
    )
    assert.equal(taken.length, 1)
  })

test('what a client that closes its side has asked about is answered first', { timeout }, async (t) => {
  const { port } = await startListener(t)
  const replies = await heard(port, 'HELO a.test\r\nMAIL FROM:<a@a.test>\r\nRCPT TO:<slow@example.org>\r\n')
  assert.match(replies, /250 2\.1\.5 Ok\r\n$/)
})

test('a handshake that the client breaks off by closing its side is over', { timeout }, async (t) => {
  const tls = await testCertificate(t)
  const { port } = await startListener(t, { tls })
  const client = connect({ host, port, allowHalfOpen: true })
  await once(client, 'data')
  client.write('STARTTLS\r\n')
  assert.match(String((await once(client, 'data'))[0]), /^220 /)
  client.end()
  assert.equal(await text(client), '')
})

for (const implicitTls of [false, true])
  test(`a session of a port of ours goes on, too${implicitTls ? ', inside TLS' : ''}`, { timeout }, async (t) => {
    const tls = await testCertificate(t)
    const listener = await listenTcp(slowEcho, {
      ...{ host, port: 0, tls, implicitTls, refusal: () => '' },
      metrics: connectionMetrics(new Registry()),
      log: pino({ level: 'silent' }),
    })
    t.after(() => listener.close(0))
    assert.equal(await heard(listener.port, 'one\r\ntwo\r\n', implicitTls ? tls.ca : undefined), 'one!\r\ntwo!\r\n')
  })
