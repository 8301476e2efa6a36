import assert from 'node:assert/strict'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { test, type TestContext } from 'node:test'

import { Conversation, testCertificate } from '@postbus/testkit'
import pino from 'pino'
import { Registry } from '@postbus/metrics'

import { connectionMetrics, type Listener, listenTcp, type TcpConnection, type TcpListenOptions } from '../src/index.ts'

const timeout = 60_000

interface Door extends Listener {
  registry: Registry
}

async function openDoor(
  t: TestContext,
  session: (connection: TcpConnection) => Promise<void>,
  options: Partial<TcpListenOptions> = {},
): Promise<Door> {
  const registry = new Registry()
  const listener = await listenTcp(session, {
    host: '127.0.0.1',
    port: 0,
    refusal: (reason) => `* BYE ${reason}\r\n`,
    metrics: connectionMetrics(registry),
    log: pino({ level: 'silent' }),
    ...options,
  })
  t.after(() => listener.close(0))
  return { ...listener, registry }
}

/** Answers each line with who speaks and whether it is protected; knows STARTTLS and BYE. */
async function echo(connection: TcpConnection): Promise<void> {
  connection.socket.write('hello\r\n')
  for (;;) {
    const line = await nextLine(connection)
    if (line === 'STARTTLS') await connection.startTls('go\r\n')
    else if (line === null || line === 'BYE') return
    else connection.socket.write(`${connection.address} ${connection.tls?.version ?? 'plain'} ${line}\r\n`)
  }
}

async function nextLine({ socket }: TcpConnection): Promise<string | null> {
  for (let text = ''; ;) {
    const byte: Buffer | null = socket.read(1)
    if (byte === null) {
      if (socket.readableEnded || socket.destroyed) return null
      await Promise.race([once(socket, 'readable'), once(socket, 'close')])
    } else if (byte.toString() === '\n') return text.trimEnd()
    else text += byte.toString()
  }
}

async function open(t: TestContext, port: number, ca?: string, implicitTls = false): Promise<Conversation> {
  const client = await Conversation.open({ port, implicitTls, ...(ca ? { tls: { ca, servername: 'localhost' } } : {}) })
  t.after(() => client.close())
  return client
}

test('STARTTLS drops what was pipelined behind it and goes on protected', { timeout }, async (t) => {
  const tls = await testCertificate(t)
  const { port, registry } = await openDoor(t, echo, { tls })
  const client = await open(t, port, tls.ca)
  assert.equal(await client.line(), 'hello')
  client.write('STARTTLS\r\nINJECTED\r\n')
  assert.equal(await client.line(), 'go')
  await client.startTls()
  client.write('one\r\n')
  assert.equal(await client.line(), '127.0.0.1 TLSv1.3 one')
  assert.match(await registry.metrics(), /mail_tls_sessions_total\{version="TLSv1\.3"\} 1/)
})

/** Connects again and again, until the server shows a certificate that `ca` vouches for. */
async function renewed(port: number, ca: string, implicitTls: boolean): Promise<Conversation> {
  for (;;) {
    try {
      const client = await Conversation.open({ port, implicitTls, tls: { ca, servername: 'localhost' } })
      await client.line()
      if (implicitTls) return client
      client.write('STARTTLS\r\n')
      await client.line()
      await client.startTls()
      return client
    } catch {
      // The old one still.
    }
  }
}

for (const implicitTls of [true, false])
  test(
    `a renewed certificate is shown to new connections, and old ones go on (${implicitTls ? 'TLS' : 'STARTTLS'})`,
    {
      timeout,
    },
    async (t) => {
      const files = await testCertificate(t)
      const { port } = await openDoor(t, echo, { tls: { ...files, pollMs: 20 }, implicitTls })
      const before = await renewed(port, files.ca, implicitTls)
      t.after(() => before.close())
      const after = await renewed(port, await files.renew(), implicitTls)
      t.after(() => after.close())
      for (const client of [before, after]) {
        client.write('one\r\n')
        assert.equal(await client.line(), '127.0.0.1 TLSv1.3 one')
      }
    },
  )

test('a certificate that cannot be used leaves the old one in place', { timeout }, async (t) => {
  const files = await testCertificate(t)
  const refused = Promise.withResolvers<void>()
  const log = pino({ level: 'error' }, { write: () => refused.resolve() })
  const { port } = await openDoor(t, echo, { tls: { ...files, pollMs: 20 }, implicitTls: true, log })
  await writeFile(files.certFile, 'half a certif')
  await refused.promise
  const client = await open(t, port, files.ca, true)
  assert.equal(await client.line(), 'hello')
})

test('implicit TLS, and a session that ends closes its connection', { timeout }, async (t) => {
  const tls = await testCertificate(t)
  const { port } = await openDoor(t, echo, { tls, implicitTls: true })
  const client = await open(t, port, tls.ca, true)
  assert.equal(await client.line(), 'hello')
  client.write('BYE\r\n')
  assert.equal(await client.rest(), '')
})

test('clients over the limit are told so in the words of the protocol', { timeout }, async (t) => {
  const { port } = await openDoor(t, echo, { maxConnectionsPerClient: 1 })
  await (await open(t, port)).line()
  assert.equal(await (await open(t, port)).rest(), '* BYE client\r\n')
})

test('a trusted balancer names the client', { timeout }, async (t) => {
  const { port } = await openDoor(t, echo, { trustedProxies: ['127.0.0.1'] })
  const client = await open(t, port)
  client.write('PROXY TCP4 192.0.2.7 198.51.100.1 40000 143\r\none\r\n')
  assert.equal(await client.line(), 'hello')
  assert.equal(await client.line(), '192.0.2.7 plain one')
})

test('draining asks each session to end, and cuts it at the deadline', { timeout }, async (t) => {
  const polite = await openDoor(t, async ({ socket, draining }) => {
    socket.write('hello\r\n')
    if (!draining.aborted) await once(draining, 'abort')
    socket.write('* BYE\r\n')
  })
  const client = await open(t, polite.port)
  await client.line()
  const closed = polite.close(10_000)
  assert.equal(await client.rest(), '* BYE\r\n')
  await client.close()
  await closed

  const deaf = await openDoor(t, echo)
  const other = await open(t, deaf.port)
  await other.line()
  await deaf.close(20)
  assert.equal(await other.rest(), '')
})

test('a session that fails takes only its own connection with it', { timeout }, async (t) => {
  const { port } = await openDoor(t, async (connection) => {
    if ((await nextLine(connection)) === 'fail') throw new Error('on purpose')
    connection.socket.write('fine\r\n')
  })
  const [broken, fine] = [await open(t, port), await open(t, port)]
  broken.write('fail\r\n')
  assert.equal(await broken.rest(), '')
  fine.write('go\r\n')
  assert.equal(await fine.rest(), 'fine\r\n')
})
