import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'

import { type OtlpReceiver, type ReceivedSpan, startOtlpReceiver } from '@postbus/testkit'
import { z } from 'zod'

import {
  batched,
  beginTrace,
  currentTrace,
  inTrace,
  openTracing,
  resumeTrace,
  traced,
  tracedIn,
  traceparent,
  tracingConfig,
} from './index.ts'

const identity = { service: 'router', instance: 'router-1', version: '1.2.3' }
const quiet = { failing: () => {}, recovered: () => {} }

async function open(t: TestContext, settings: Record<string, string> = {}, news = quiet) {
  const receiver = await startOtlpReceiver(t)
  const config = z.object(tracingConfig).parse({ OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url, ...settings })
  const tracing = await openTracing(config, identity, news)
  return { receiver, tracing }
}

const named = ({ spans }: OtlpReceiver, name: string): ReceivedSpan => {
  const found = spans.find((span) => span.name === name)
  assert.ok(found, `${name} among ${spans.map((span) => span.name).join(', ')}`)
  return found
}

test('steps are exported as one tree, across the header, with service, version and instance', async (t) => {
  const { receiver, tracing } = await open(t)
  let header = ''
  await tracedIn(beginTrace(tracing.tracer, 'session', { attributes: { 'server.port': 25 } }), () =>
    traced('publish', {}, async () => void (header = traceparent())),
  )
  await tracedIn(resumeTrace(tracing.tracer, header, 'process'), () => traced('commit', {}, async () => {}))
  await tracing.close()

  const [session, publish, process, commit] = ['session', 'publish', 'process', 'commit'].map((name) =>
    named(receiver, name),
  )
  assert.equal(session?.parentSpanId, '')
  assert.equal(publish?.parentSpanId, session?.spanId)
  assert.equal(process?.parentSpanId, publish?.spanId)
  assert.equal(commit?.parentSpanId, process?.spanId)
  assert.equal(new Set(receiver.spans.map(({ traceId }) => traceId)).size, 1)
  assert.deepEqual(session?.attributes, { 'server.port': 25 })
  assert.deepEqual(session?.resource, {
    'service.name': 'postbus-router',
    'service.namespace': 'postbus',
    'service.instance.id': 'router-1',
    'service.version': '1.2.3',
  })
})

test('a step that fails says so by the class of its error, never by its text', async (t) => {
  const { receiver, tracing } = await open(t)
  const work = tracedIn(beginTrace(tracing.tracer, 'session'), () =>
    traced('write', {}, async () => {
      throw new RangeError('jones@example.net')
    }),
  )
  await assert.rejects(work, RangeError)
  await tracing.close()
  const write = named(receiver, 'write')
  assert.equal(write.failed, true)
  assert.deepEqual(write.attributes, { 'error.type': 'RangeError' })
  assert.doesNotMatch(
    JSON.stringify(receiver.spans, (_, value: unknown) => String(value)),
    /jones/,
  )
})

test('work shared by many is a step of the first and linked to the others', async (t) => {
  const { receiver, tracing } = await open(t)
  const flush = batched('flush')
  const steps = ['a', 'b', 'c'].map((name) => beginTrace(tracing.tracer, name))
  const notes = steps.map((step) => step.run(() => flush.note()))
  await flush.run([undefined, ...notes], async () => {})
  for (const step of steps) step.end()
  await tracing.close()
  const [a, b, c, shared] = ['a', 'b', 'c', 'flush'].map((name) => named(receiver, name))
  assert.equal(shared?.parentSpanId, a?.spanId)
  assert.deepEqual(
    shared?.links,
    [b, c].map((span) => ({ traceId: span?.traceId, spanId: span?.spanId })),
  )
  assert.equal(shared?.attributes['messaging.batch.message_count'], 4)
})

test('what belongs to a trace that is not sampled is not recorded, and keeps its trace id', async (t) => {
  const settings = { OTEL_TRACES_SAMPLER: 'parentbased_traceidratio', OTEL_TRACES_SAMPLER_ARG: '0' }
  const { receiver, tracing } = await open(t, settings)
  const step = beginTrace(tracing.tracer, 'session')
  const header = step.run(traceparent)
  assert.match(header, /^00-[0-9a-f]{32}-[0-9a-f]{16}-00$/)
  await tracedIn(resumeTrace(tracing.tracer, header, 'process'), () =>
    traced('commit', {}, async () => assert.equal(currentTrace()?.traceId, step.scope?.traceId)),
  )
  const sampled = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'
  await tracedIn(resumeTrace(tracing.tracer, sampled, 'sampled elsewhere'), async () => {})
  await tracing.close()
  assert.deepEqual(
    receiver.spans.map(({ name, traceId }) => [name, traceId]),
    [['sampled elsewhere', '4bf92f3577b34da6a3ce929d0e0e4736']],
  )
})

test('without a collector there are trace ids and no spans', async () => {
  const { tracer } = await openTracing(z.object(tracingConfig).parse({}), identity, quiet)
  assert.equal(tracer, null)
  const header = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'
  const step = resumeTrace(tracer, header, 'process')
  assert.equal(step.recorded, false)
  await tracedIn(step, async () => assert.equal(currentTrace()?.traceId, '4bf92f3577b34da6a3ce929d0e0e4736'))
  assert.equal(
    inTrace(header, () => currentTrace()?.traceId),
    '4bf92f3577b34da6a3ce929d0e0e4736',
  )
  for (const bad of [undefined, '', 'x', header.replace('4bf92f3577b34da6a3ce929d0e0e4736', '0'.repeat(32))]) {
    const own = inTrace(bad, () => currentTrace()?.traceId)
    assert.match(own ?? '', /^[0-9a-f]{32}$/)
    assert.notEqual(own, '4bf92f3577b34da6a3ce929d0e0e4736')
  }
})

test('a collector that refuses is told of once, until it takes spans again; the work does not notice', async (t) => {
  const news: string[] = []
  const { receiver, tracing } = await open(
    t,
    { OTEL_BSP_SCHEDULE_DELAY: '10', OTEL_EXPORTER_OTLP_HEADERS: 'x-token=a%20b' },
    { failing: () => void news.push('failing'), recovered: () => void news.push('recovered') },
  )
  receiver.answer(400)
  for (const name of ['first', 'second']) {
    const before = receiver.exports.length
    await tracedIn(beginTrace(tracing.tracer, name), async () => {})
    while (receiver.exports.length === before) await pause(5)
  }
  receiver.answer(200)
  await tracedIn(beginTrace(tracing.tracer, 'third'), async () => {})
  await tracing.close()
  assert.deepEqual(news, ['failing', 'recovered'])
  assert.equal(receiver.exports[0]?.['x-token'], 'a b')
  named(receiver, 'third')
})
