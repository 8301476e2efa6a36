import assert from 'node:assert/strict'
import { test } from 'node:test'

import { exposition, openMetricsRegistry } from '@postbus/metrics'

import { taskTo, time } from '../test/samples.ts'
import type { Outcome } from './attempt/outcome.ts'
import { deliveryMetrics, reasonOf } from './metrics.ts'

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736'
const relayed: Outcome = { kind: 'relayed', at: time(1), mxHost: 'mx.far.test', reply: '250 ok', dsn: false }
const deferred: Outcome = {
  ...{
    kind: 'deferred',
    at: time(1),
    nextAttemptAt: time(6),
    status: '4.7.1',
    reason: 'greylisted',
    reply: '451 wait',
  },
}

async function lines(registry: ReturnType<typeof openMetricsRegistry>): Promise<string[]> {
  return (await exposition([registry], 'application/openmetrics-text')).text.split('\n')
}

test('only a first attempt that began counts for the time to it, and names its trace', async () => {
  const registry = openMetricsRegistry()
  const metrics = deliveryMetrics(registry)
  const [first, second, suspended] = [1, 2, 1].map((attempt) => taskTo('ann@far.test', { attempt }))
  assert.ok(first && second && suspended)
  metrics.begun([first, second])
  for (const task of [first, second, suspended]) metrics.counted(task, relayed, TRACE)
  const page = await lines(registry)
  assert.ok(page.includes('mail_time_to_first_attempt_seconds_count 1'))
  assert.ok(page.some((line) => line.startsWith('mail_time_to_first_attempt_seconds_bucket') && line.includes(TRACE)))
  assert.ok(page.includes('mail_delivery_attempts_total{outcome="relayed"} 3'))
})

test('what did not succeed is counted by the subject of its status and by who said so', async () => {
  const registry = openMetricsRegistry()
  const metrics = deliveryMetrics(registry)
  const { reply: _, ...own } = deferred
  metrics.counted(taskTo('ann@far.test'), deferred, undefined)
  metrics.counted(taskTo('ann@far.test'), { ...own, status: '4.4.1' }, undefined)
  const page = await lines(registry)
  for (const labels of ['reason="policy",by="peer"', 'reason="network",by="us"']) {
    assert.ok(page.includes(`mail_delivery_unsuccessful_total{outcome="deferred",${labels}} 1`), labels)
  }
})

test('every status has a reason of the list, also one that RFC 3463 does not know', () => {
  assert.deepEqual(['5.1.1', '4.2.2', '4.4.1', '5.7.1', '5.0.0', '5.9.9', 'nonsense'].map(reasonOf), [
    'address',
    'mailbox',
    'network',
    'policy',
    'other',
    'other',
    'other',
  ])
})
