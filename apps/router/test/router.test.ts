/** The router through its front door: a real bus, and a directory that is a table. */
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { setImmediate } from 'node:timers/promises'

import { connectBus, type ConnectedBus, keepProvisioned, RequestRefused } from '@postbus/bus'
import {
  MailAccepted,
  MailLocal,
  MailOut,
  MailStatus,
  type Party,
  type Resolution,
  resolveAddresses,
  type Status,
} from '@postbus/contracts'
import { startNatsServer } from '@postbus/testkit'
import { pino } from 'pino'
import { Registry } from '@postbus/metrics'

import { RouterConfig } from '../src/config.ts'
import { routerService } from '../src/service.ts'

const log = pino({ level: 'silent' })
const account = (name: string): Resolution => ({
  kind: 'account',
  account: `${name}0000`,
  address: `${name}@example.org`,
})

async function platform(t: TestContext) {
  const over = new AbortController()
  const closes: (() => Promise<void> | void)[] = []
  t.after(async () => {
    over.abort()
    for (const close of closes.reverse()) await close()
  })
  // After ours: what runs on the server stops before it does.
  const nats = await startNatsServer(t)
  const provisioner = await keepProvisioned({
    ...{ servers: nats.url, nkeySeed: nats.seeds.provisioner, shards: 1, signal: over.signal, log },
  })
  closes.push(() => provisioner.stop())

  const bus = async (party: Party): Promise<ConnectedBus> => {
    const connected = await connectBus({ servers: nats.url, nkeySeed: nats.seeds[party], party, log })
    closes.push(() => connected.close())
    return connected
  }
  const metrics = new Registry()

  return {
    ...{ nats, bus, metrics },
    async directory(table: Record<string, Resolution>) {
      const connected = await bus('directory')
      const answering = await connected.answer(resolveAddresses, async ({ addresses }) => ({
        revision: 1,
        resolutions: addresses.map((address) => table[address] ?? { kind: 'unknown' as const }),
      }))
      return answering
    },
    async router() {
      const connected = await bus('router')
      await routerService.start({
        ...{ config: RouterConfig.parse({}), log, metrics, bus: connected, signal: over.signal },
        defer: (close) => void closes.push(close),
        readiness: () => {},
        probe: () => {},
        tracer: null,
      })
    },
    /** Everything that comes out of the router, as it comes. */
    async outcome() {
      const local: MailLocal[] = []
      const statuses: Status[] = []
      const out: MailOut[] = []
      const waiting = new Set<() => void>()
      const seen = (): { kind: 'done' } => {
        for (const look of waiting) look()
        return { kind: 'done' }
      }
      const [mailstore, custody, delivery] = await Promise.all([bus('mailstore'), bus('custody'), bus('delivery')])
      await mailstore.consume(MailLocal, 'mailstore', { maxInFlight: 100 }, async (task) => {
        local.push(task)
        return seen()
      })
      await custody.consume(MailStatus, 'custody', { maxInFlight: 100 }, async (message) => {
        statuses.push(...message.statuses)
        return seen()
      })
      const lanes = Array.from({ length: 32 }, (_, lane) => String(lane).padStart(2, '0'))
      for (const lane of lanes) {
        await delivery.consume(MailOut, 'delivery', { maxInFlight: 10, tokens: { shard: '0', lane } }, async (task) => {
          out.push(task)
          return seen()
        })
      }
      const until = (done: () => boolean): Promise<void> =>
        new Promise((resolve) => {
          const look = (): void => {
            if (!done()) return
            waiting.delete(look)
            resolve()
          }
          waiting.add(look)
          look()
        })
      return { local, statuses, out, until }
    },
  }
}

const accepted = (queueId: string, forwardPaths: string[]) => ({
  queueId,
  incarnation: 0,
  acceptedAt: new Date().toISOString(),
  origin: 'inbound' as const,
  size: 100,
  smtputf8: false,
  requireTls: false,
  envelope: {
    reversePath: 'ann@far.test',
    recipients: forwardPaths.map((forwardPath) => ({ forwardPath })),
    smtputf8: false,
    requireTls: false,
  },
})

test('an accepted message becomes statuses, local and outgoing tasks', { timeout: 60_000 }, async (t) => {
  const { bus, directory, router, outcome, metrics } = await platform(t)
  await directory({
    'jones@example.org': account('jones'),
    'team@example.org': { kind: 'alias', name: 'team@example.org', members: ['jones@example.org', 'bob@else.test'] },
    'bob@else.test': { kind: 'remote', domain: 'else.test' },
  })
  await router()
  const seen = await outcome()
  const inbound = await bus('inbound')
  const event = accepted('01J9ZK3V8Q6X4T2M7N5R1C0B9A', ['team@example.org', 'green@example.org'])
  await inbound.publish(MailAccepted, MailAccepted.schema.parse(event))
  await seen.until(() => seen.local.length === 1 && seen.out.length === 1 && seen.statuses.length === 3)
  assert.deepEqual(
    seen.statuses.map(({ kind }) => kind),
    ['routed', 'routed', 'failed'],
  )
  assert.equal(seen.out[0]?.site, 'else.test')
  // Counted once all of it is published; the last of it may be seen before that. The test's time limit bounds the wait.
  const counted = /mail_router_recipients_total\{destination="local"\} 1/
  while (!counted.test(await metrics.metrics())) await setImmediate()
})

test('while the directory is away nothing is decided, and nothing is lost', { timeout: 60_000 }, async (t) => {
  const { bus, directory, router, outcome } = await platform(t)
  await router()
  const seen = await outcome()
  const inbound = await bus('inbound')
  const event = accepted('01J9ZK3V8Q6X4T2M7N5R1C0B9B', ['jones@example.org'])
  await inbound.publish(MailAccepted, MailAccepted.schema.parse(event))
  // A directory that cannot answer is as bad as none: it refuses the first question.
  const refused = Promise.withResolvers<void>()
  const broken = await (
    await bus('directory')
  ).answer(resolveAddresses, async () => {
    refused.resolve()
    throw new RequestRefused('none', 'its disk is full')
  })
  await refused.promise
  await broken.stop()
  assert.deepEqual([seen.local, seen.statuses], [[], []])
  await directory({ 'jones@example.org': account('jones') })
  await seen.until(() => seen.local.length === 1 && seen.statuses.length === 1)
  assert.equal(seen.statuses[0]?.kind, 'routed')
})

test('2,000 messages in a burst are routed without a loss', { timeout: 120_000 }, async (t) => {
  const { bus, directory, router, outcome } = await platform(t)
  await directory({ 'jones@example.org': account('jones') })
  const inbound = await bus('inbound')
  const count = 2000
  const queueId = (index: number): string => `01J9ZK3V8Q6X4T2M7N5R1${String(index).padStart(5, '0')}`
  await Promise.all(
    Array.from({ length: count }, (_, index) =>
      inbound.publish(MailAccepted, MailAccepted.schema.parse(accepted(queueId(index), ['jones@example.org']))),
    ),
  )
  const seen = await outcome()
  const began = performance.now()
  await router()
  await seen.until(() => seen.local.length >= count && seen.statuses.length >= count)
  const perSecond = Math.round((count * 1000) / (performance.now() - began))
  t.diagnostic(`${perSecond} messages/s, all consumers in this process`)
  assert.equal(new Set(seen.local.map(({ queueId: id }) => id)).size, count)
})
