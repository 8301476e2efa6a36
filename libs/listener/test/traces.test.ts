import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:tls'
import { test, type TestContext } from 'node:test'

import { Conversation, startOtlpReceiver, testCertificate } from '@postbus/testkit'
import { openTracing, traced, tracingConfig } from '@postbus/tracing'
import pino from 'pino'
import { z } from 'zod'

import { startListener } from './support.ts'

async function tracing(t: TestContext) {
  const receiver = await startOtlpReceiver(t)
  const config = z.object(tracingConfig).parse({ OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url })
  const identity = { service: 'inbound', instance: 'one', version: '1' }
  return { receiver, ...(await openTracing(config, identity, { failing: () => {}, recovered: () => {} })) }
}

async function talk(conversation: Conversation, ...lines: string[]): Promise<void> {
  for (const line of lines) {
    conversation.write(`${line}\r\n`)
    for (let answer = ''; !/^\d{3} /.test(answer);) answer = (await conversation.line()) ?? assert.fail('closed')
  }
}

test('the first transaction is part of the session’s trace, a further one has its own and is linked', async (t) => {
  const { receiver, tracer, close } = await tracing(t)
  const sessionEnded = Promise.withResolvers<void>()
  const { port } = await startListener(
    t,
    { tracer },
    {
      data: async (_envelope, body) => {
        for await (const piece of body) void piece
        return traced('take', {}, async () => ({ queueId: 'Q' }))
      },
      closed: () => sessionEnded.resolve(),
    },
  )
  const client = await Conversation.open({ port })
  t.after(() => client.close())
  await client.line()
  const message = ['MAIL FROM:<a@client.test>', 'RCPT TO:<jones@example.org>', 'DATA', 'Subject: x\r\n\r\nx\r\n.']
  await talk(client, 'EHLO client.test', ...message, ...message, 'MAIL FROM:<a@client.test>', 'QUIT')
  await sessionEnded.promise
  await close()

  const named = (name: string) => receiver.spans.filter((span) => span.name === name)
  const [session] = named('SMTP session')
  const [first, second, third] = named('SMTP transaction')
  const takes = named('take')
  assert.equal(session?.parentSpanId, '')
  assert.equal(first?.parentSpanId, session?.spanId)
  assert.equal(second?.parentSpanId, '')
  assert.notEqual(second?.traceId, session?.traceId)
  assert.deepEqual(second?.links, [{ traceId: session?.traceId, spanId: session?.spanId }])
  assert.deepEqual(
    takes.map(({ parentSpanId }) => parentSpanId),
    [first?.spanId, second?.spanId],
  )
  assert.deepEqual([first?.attributes['postbus.queue_id'], first?.failed], ['Q', false])
  assert.deepEqual([third?.attributes['error.type'], third?.failed], ['abandoned', true])
})

test('a client that vanishes inside TLS in the middle of a message leaves a line and nothing else', async (t) => {
  const tls = await testCertificate(t)
  const abandoned = Promise.withResolvers<string>()
  const log = pino(
    {},
    { write: (line: string) => void (/transaction abandoned/.test(line) && abandoned.resolve(line)) },
  )
  const { port } = await startListener(t, { tls, implicitTls: true, log })
  const socket = connect({ port, host: '127.0.0.1', ca: tls.ca, servername: 'localhost' })
  await once(socket, 'data')
  socket.write('EHLO client.test\r\nMAIL FROM:<a@client.test>\r\nRCPT TO:<jones@example.org>\r\nDATA\r\n')
  for (let said = ''; !said.includes('354 ');) said += String((await once(socket, 'data'))[0])
  socket.write('Subject: x\r\n')
  socket.destroy()
  assert.match(await abandoned.promise, /"protocol":"ESMTPS","tls":"TLSv1\.3"/)
})
