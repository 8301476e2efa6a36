import assert from 'node:assert/strict'
import { test } from 'node:test'

import { MailAccepted, serviceStatus, setLogLevel } from '@postbus/contracts'
import { startOtlpReceiver } from '@postbus/testkit'
import { openTracing, tracingConfig } from '@postbus/tracing'
import { z } from 'zod'

import { accepted, platform } from './harness.ts'

const by = 'a test'

test('every copy answers for itself, but for those the question is not for', async (t) => {
  const { bus } = await platform(t)
  const [one, other, router, operator] = await Promise.all(
    (['delivery', 'delivery', 'router', 'operator'] as const).map((party) => bus(party)),
  )
  for (const [copy, service, instance] of [
    [one, 'delivery', 'd1'],
    [other, 'delivery', 'd2'],
    [router, 'router', 'r1'],
  ] as const) {
    await copy?.answerSurvey(setLogLevel, async (asked) =>
      asked.service === service ? { service, instance, level: 'debug' as const } : null,
    )
  }
  const answers = await operator?.survey(
    setLogLevel,
    { service: 'delivery', level: 'debug', forSeconds: 60, by },
    { enough: ({ length }) => length === 2 },
  )
  assert.deepEqual(answers?.map(({ instance }) => instance).toSorted(), ['d1', 'd2'])
})

test('where nobody answers nobody is waited for', async (t) => {
  const { bus } = await platform(t)
  const operator = await bus('operator')
  assert.deepEqual(await operator.survey(serviceStatus, {}, { waitMs: 60_000 }), [])
})

test('a service may not ask what operators ask', async (t) => {
  const { bus } = await platform(t)
  const [router, operator] = await Promise.all([bus('router'), bus('operator')])
  let asked = 0
  await router.answerSurvey(setLogLevel, async () => {
    asked++
    return null
  })
  await (
    await bus('delivery')
  ).survey(setLogLevel, { service: 'router', level: null, forSeconds: 1, by }, { waitMs: 200 })
  await operator.survey(setLogLevel, { service: 'router', level: null, forSeconds: 1, by }, { waitMs: 200 })
  assert.equal(asked, 1)
})

test('publication, handling, question and answer are spans of one trace, each under its service', async (t) => {
  const receiver = await startOtlpReceiver(t)
  const config = z.object(tracingConfig).parse({ OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url })
  const open = (service: string) =>
    openTracing(config, { service, instance: service, version: '1' }, { failing: () => {}, recovered: () => {} })
  const [sending, receiving] = await Promise.all([open('submission'), open('router')])
  const { bus } = await platform(t)
  const [submission, router] = await Promise.all([
    bus('submission', { tracer: sending.tracer }),
    bus('router', { tracer: receiving.tracer }),
  ])
  const handled = Promise.withResolvers<void>()
  const consuming = await router.consume(MailAccepted, 'router', { maxInFlight: 1 }, async () => {
    handled.resolve()
    return { kind: 'done' }
  })
  await submission.publish(MailAccepted, accepted(7))
  await handled.promise
  await consuming.stop()
  await Promise.all([sending.close(), receiving.close()])
  const [publish, process] = ['publish mail.accepted', 'process mail.accepted'].map((name) =>
    receiver.spans.find((span) => span.name === name),
  )
  assert.equal(publish?.parentSpanId, '')
  assert.deepEqual([process?.traceId, process?.parentSpanId], [publish?.traceId, publish?.spanId])
  assert.deepEqual([publish?.service, process?.service], ['postbus-submission', 'postbus-router'])
  assert.deepEqual(process?.attributes, {
    ...{ 'messaging.system': 'nats', 'messaging.operation.name': 'process', 'messaging.operation.type': 'process' },
    ...{ 'messaging.destination.name': 'MAIL_ACCEPTED', 'messaging.consumer.group.name': 'router' },
    ...{ 'postbus.deliveries': 1, 'postbus.queue_id': accepted(7).queueId },
  })
})
