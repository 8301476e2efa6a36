import assert from 'node:assert/strict'
import { test } from 'node:test'

import { BusFull, BusUnavailable, DependencyUnavailable } from '@postbus/bus'
import { type EventContract, MailAccepted, type Resolution } from '@postbus/contracts'
import { pino } from 'pino'

import { routeMessage } from '../routing/route-message.ts'
import { type MailAcceptedPorts, onMailAccepted } from './mail-accepted.ts'

const event = MailAccepted.schema.parse({
  queueId: '01J9ZK3V8Q6X4T2M7N5R1C0B9A',
  incarnation: 0,
  acceptedAt: '2026-01-05T10:00:00Z',
  origin: 'submission',
  size: 1000,
  smtputf8: false,
  requireTls: false,
  envelope: {
    reversePath: 'smith@example.org',
    recipients: ['jones@example.org', 'green@example.org', 'ann@far.test'].map((forwardPath) => ({ forwardPath })),
  },
})
const directory: Record<string, Resolution> = {
  'jones@example.org': { kind: 'account', account: 'jones00000000', address: 'jones@example.org' },
  'green@example.org': { kind: 'unknown' },
  'ann@far.test': { kind: 'remote', domain: 'far.test' },
}
const limits = { maxDepth: 5, maxAddresses: 100, maxRecipients: 100, maxQueueTimeMs: 1000, shards: 1 }

/** A bus that keeps what was published, under its message id, and may break at the n-th publication. */
function platform(failure?: { at: number; error: Error }) {
  const published = new Map<string, string>()
  const order: string[] = []
  let count = 0
  const take = (kind: string, id: string, value: unknown): void => {
    if (++count === failure?.at) throw failure.error
    order.push(kind)
    const text = JSON.stringify(value)
    assert.equal(published.get(id) ?? text, text, 'the same message id must mean the same message')
    published.set(id, text)
  }
  const ports: MailAcceptedPorts = {
    route: (message) =>
      routeMessage(
        message,
        {
          resolve: async (addresses) => addresses.map((address) => directory[address] ?? { kind: 'unknown' }),
          now: () => new Date('2026-01-05T10:00:01Z'),
        },
        limits,
      ),
    writeStatuses: async (statuses) => {
      for (const status of statuses) {
        take(status.kind, `${status.kind}${status.kind === 'routed' ? status.original : status.n}`, status)
      }
    },
    publish: async (contract: EventContract, value: unknown) => {
      take(contract.name, contract.messageId(value), value)
    },
    routed: () => {},
  }
  return { ports, published, order }
}

const context = { log: pino({ level: 'silent' }), deliveries: 1, signal: new AbortController().signal }

test('the whole routed list is stored before any work is published', async () => {
  const { ports, order } = platform()
  assert.deepEqual(await onMailAccepted(ports)(event, context), { kind: 'done' })
  assert.deepEqual(order, ['routed', 'routed', 'routed', 'failed', 'mail.local', 'mail.out'])
})

test('running twice publishes the same messages under the same ids', async () => {
  const { ports, published } = platform()
  await onMailAccepted(ports)(event, context)
  const once = new Map(published)
  await onMailAccepted(ports)(event, context)
  assert.deepEqual(published, once)
})

test('a death at any step is made good by the next run', async () => {
  const whole = platform()
  await onMailAccepted(whole.ports)(event, context)
  for (let at = 1; at <= whole.published.size; at++) {
    const broken = platform({ at, error: new Error('killed') })
    await assert.rejects(onMailAccepted(broken.ports)(event, context))
    await onMailAccepted(broken.ports)(event, context)
    assert.deepEqual(new Set(broken.published.keys()), new Set(whole.published.keys()))
  }
})

test('a bus that refuses or does not confirm is no fault of the message', async () => {
  for (const error of [new BusFull('full'), new BusUnavailable('away')]) {
    const { ports } = platform({ at: 5, error })
    await assert.rejects(onMailAccepted(ports)(event, context), DependencyUnavailable)
  }
})
