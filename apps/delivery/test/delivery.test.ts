/** Delivery through its front door: a real bus, a real spool, and an SMTP sink as the smarthost. */
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'

import { type Bus, BusUnavailable, connectBus, type ConnectedBus, keepProvisioned } from '@postbus/bus'
import {
  DirectoryChanged,
  explainRoute,
  laneOf,
  MailAccepted,
  MailHold,
  MailOut,
  MailStatus,
  type Party,
  QueueId,
  type Status,
  type Transport,
  transports,
} from '@postbus/contracts'
import { openSpoolWriter } from '@postbus/spool'
import { type SmtpSink, startNatsServer, startSmtpSink } from '@postbus/testkit'
import { pino } from 'pino'
import { Registry } from 'prom-client'
import type { z } from 'zod'

import { DeliveryConfig } from '../src/config.ts'
import { deliveryService } from '../src/service.ts'
import { taskTo } from './samples.ts'

const log = pino({ level: 'silent' })
type Told = z.output<typeof explainRoute.output>
type RecipientStatus = Exclude<Status, { kind: 'routed' }>

async function platform(t: TestContext, { directory: answers = true } = {}) {
  const nats = await startNatsServer(t)
  const sink = await startSmtpSink(t)
  const data = await mkdtemp(join(tmpdir(), 'postbus-delivery-'))
  const over = new AbortController()
  const closes: (() => Promise<void> | void)[] = [() => rm(data, { recursive: true, force: true })]
  t.after(async () => {
    over.abort()
    for (const close of closes.reverse()) await close()
  })
  const provisioner = await keepProvisioned({
    ...{ servers: nats.url, nkeySeed: nats.seeds.provisioner, shards: 1, signal: over.signal, log },
  })
  closes.push(() => provisioner.stop())
  const bus = async (party: Party): Promise<ConnectedBus> => {
    const connected = await connectBus({ servers: nats.url, nkeySeed: nats.seeds[party], party, log })
    closes.push(() => connected.close())
    return connected
  }
  const rules: Transport[] = []
  const directory = await bus('directory')
  if (answers)
    await directory.answer(transports, async () => ({ transports: rules, more: false, revision: rules.length }))

  const spoolDir = join(data, 'spool')
  const writer = await openSpoolWriter({ dir: spoolDir, writerName: 'test' })
  closes.push(() => writer.close())

  const statuses: RecipientStatus[] = []
  const waiting = new Set<() => void>()
  await (
    await bus('custody')
  ).consume(MailStatus, 'custody', { maxInFlight: 100 }, async (message) => {
    for (const status of message.statuses) if (status.kind !== 'routed') statuses.push(status)
    for (const look of waiting) look()
    return { kind: 'done' }
  })

  return {
    ...{ sink, bus, statuses },
    /** In the directory, which says that it changed. */
    add(rule: Transport): void {
      rules.push(rule)
      directory.hint(DirectoryChanged, { revision: rules.length })
    },
    /** Another replica. Stopped by the result, as a signal would. */
    async delivery(settings: Record<string, string> = {}): Promise<() => Promise<void>> {
      const stopping = new AbortController()
      const own: (() => Promise<void> | void)[] = []
      const connected = await connectBus({ servers: nats.url, nkeySeed: nats.seeds.delivery, party: 'delivery', log })
      own.push(() => connected.close())
      const config = DeliveryConfig.parse({
        MAIL_HOSTNAME: 'mx.example.org',
        SPOOL_DIR: spoolDir,
        DELIVERY_DATABASE: join(data, 'delivery.sqlite'),
        DELIVERY_SMARTHOST: `127.0.0.1:${sink.port}`,
        DELIVERY_RETRY_FIRST_MS: '300',
        DELIVERY_LEASE_MS: '3000',
        ...settings,
      })
      await deliveryService.start({
        ...{ config, log, metrics: new Registry(), bus: connected, signal: stopping.signal },
        defer: (close) => void own.push(close),
        readiness: () => {},
      })
      const stop = async (): Promise<void> => {
        if (stopping.signal.aborted) return
        stopping.abort()
        for (const close of own.reverse()) await close()
      }
      closes.push(stop)
      return stop
    },
    /** A message in the spool, and its tasks on the bus. */
    async send(queueId: string, forwardPaths: string[], changes: object = {}): Promise<void> {
      const id = QueueId.parse(queueId)
      const text = `Subject: ${id}\r\n\r\nhello\r\n`
      await writer.put(
        id,
        (async function* () {
          yield Buffer.from(text)
        })(),
        (size) =>
          MailAccepted.schema.parse({
            ...{ queueId: id, incarnation: 0, acceptedAt: new Date().toISOString(), origin: 'submission', size },
            ...{ smtputf8: false, requireTls: false },
            envelope: { reversePath: 'smith@example.org', recipients: [{ forwardPath: 'x@far.test' }] },
          }),
      )
      const router = await bus('router')
      const expiresAt = new Date(Date.now() + 3_600_000).toISOString()
      const site = (path: string): string => path.slice(path.indexOf('@') + 1)
      for (const path of forwardPaths) {
        const task = taskTo(path, { queueId: id, site: site(path), expiresAt, size: text.length, ...changes })
        await router.publish(MailOut, task)
      }
    },
    until(done: () => boolean): Promise<void> {
      return new Promise((resolve) => {
        const look = (): void => {
          if (!done()) return
          waiting.delete(look)
          resolve()
        }
        waiting.add(look)
        look()
      })
    },
  }
}

const queueId = (number: number): string => `01J9ZK3V8Q6X4T2M7N5R1${String(number).padStart(5, '0')}`
const kinds = (statuses: RecipientStatus[]): string[] => statuses.map(({ kind }) => kind).sort()
const texts = ({ messages }: SmtpSink): string[] => messages.map(({ data }) => data.toString())

test('recipients of one message and site travel together, and each is told', { timeout: 60_000 }, async (t) => {
  const { sink, delivery, send, until, statuses } = await platform(t)
  await delivery()
  await send(queueId(1), ['ann@far.test', 'bob@far.test', 'permfail@far.test'])
  await until(() => statuses.length === 3)
  assert.deepEqual(kinds(statuses), ['failed', 'relayed', 'relayed'])
  assert.deepEqual(texts(sink), [`Subject: ${queueId(1)}\r\n\r\nhello\r\n`])
  assert.equal(sink.messages[0]?.recipients.length, 2)
})

test(
  'a greylisted recipient is tried again when its schedule fires, and only that one',
  {
    timeout: 60_000,
  },
  async (t) => {
    const { sink, delivery, send, until, statuses } = await platform(t)
    await delivery()
    await send(queueId(1), ['ann@far.test', 'greylist@far.test'])
    await until(() => statuses.filter(({ kind }) => kind === 'relayed').length === 2)
    assert.deepEqual(kinds(statuses), ['deferred', 'relayed', 'relayed'])
    assert.deepEqual(
      sink.messages.flatMap(({ recipients }) => recipients.map(({ forwardPath }) => forwardPath)).sort(),
      ['ann@far.test', 'greylist@far.test'],
    )
    const last = statuses.find((status) => status.kind === 'relayed' && status.attempt === 2)
    assert.ok(last)
  },
)

test('a recipient that never gets through expires', { timeout: 60_000 }, async (t) => {
  const { delivery, send, until, statuses } = await platform(t)
  await delivery()
  await send(queueId(1), ['tempfail@far.test'], { expiresAt: new Date(Date.now() + 700).toISOString() })
  await until(() => statuses.some(({ kind }) => kind === 'expired'))
  assert.ok(statuses.every(({ kind }) => kind === 'deferred' || kind === 'expired'))
})

test(
  'one replica owns a lane; when it stops the other goes on, and nobody is written to twice',
  {
    timeout: 90_000,
  },
  async (t) => {
    const { sink, delivery, send, until, statuses } = await platform(t)
    const stops = [await delivery(), await delivery()]
    const relayed = () => statuses.filter(({ kind }) => kind === 'relayed').length
    for (let number = 1; number <= 20; number++) await send(queueId(number), [`ann@site${number}.test`])
    await until(() => relayed() === 20)
    await stops[0]?.()
    for (let number = 21; number <= 40; number++) await send(queueId(number), [`ann@site${number}.test`])
    await until(() => relayed() === 40)
    assert.ok(new Set(Array.from({ length: 40 }, (_, index) => laneOf(`site${index + 1}.test`))).size > 10)
    assert.equal(new Set(texts(sink)).size, 40)
    assert.equal(sink.messages.length, 40)
  },
)

test('what a site does not take waits for it, and the others go on', { timeout: 60_000 }, async (t) => {
  const { sink, delivery, send, until, statuses } = await platform(t)
  await delivery()
  await sink.close()
  await send(queueId(1), ['ann@far.test'])
  await until(() => statuses.some(({ kind }) => kind === 'deferred'))
  assert.equal(statuses[0]?.kind === 'deferred' && statuses[0].status, '4.4.1')
  await sink.reopen()
  await until(() => statuses.some(({ kind }) => kind === 'relayed'))
  assert.equal(sink.messages.length, 1)
})

/** Asks until the answer is the one that is waited for: rules are read in the background. */
async function route(operator: Bus, recipient: string, wanted: (told: Told) => boolean, sender = ''): Promise<Told> {
  for (;;) {
    try {
      const told = await operator.request(explainRoute, { recipient, sender })
      if (wanted(told)) return told
    } catch (error) {
      if (!(error instanceof BusUnavailable)) throw error
    }
  }
}

test('a rule decides where mail goes as soon as the directory has it', { timeout: 60_000 }, async (t) => {
  const { bus, add, delivery, send, until, statuses } = await platform(t)
  const store = await startSmtpSink(t, { lmtp: true })
  await delivery()
  const rule = (name: string, domain: string, action: Transport['action']): Transport => ({
    ...{ name, match: { domain }, action, policy: {} },
  })
  add(rule('store', 'store.test', { kind: 'lmtp', host: '127.0.0.1', port: store.port }))
  add(rule('sink', 'nowhere.test', { kind: 'discard' }))
  add(rule('careful', 'careful.test', { kind: 'hold', reason: 'look at it' }))
  add(rule('gone', '.gone.test', { kind: 'fail', status: '5.1.6', reason: 'moved away' }))
  await route(await bus('operator'), 'x@a.gone.test', ({ rule }) => rule === 'gone')

  await send(queueId(1), [
    'ann@store.test',
    'permdata@store.test',
    'bob@nowhere.test',
    'cid@careful.test',
    'd@a.gone.test',
  ])
  await until(() => statuses.length === 5)
  const told = Map.groupBy(statuses, ({ kind }) => kind)
  assert.deepEqual(kinds(statuses), ['discarded', 'failed', 'failed', 'held', 'relayed'])
  assert.equal(store.messages.length, 1)
  const [discarded] = told.get('discarded') ?? []
  assert.equal(discarded?.kind === 'discarded' && discarded.rule, 'transport sink')
  const failed = told.get('failed')?.map((status) => status.kind === 'failed' && [status.status, status.rule])
  assert.deepEqual(failed?.sort(), [
    ['5.1.6', 'transport gone'],
    ['5.2.1', undefined],
  ])
  const task = taskTo('cid@careful.test', { queueId: QueueId.parse(queueId(1)), site: 'careful.test' })
  const held = MailHold.subject({ task, heldAt: '', rule: '' })
  assert.equal(await (await bus('custody')).holds(MailHold, held), true)
})

test('an operator is told the route of an address without a message being sent', { timeout: 60_000 }, async (t) => {
  const { bus, add, delivery, sink } = await platform(t)
  await delivery()
  const operator = await bus('operator')
  const bulk: Transport = {
    ...{ name: 'bulk', match: { domain: '*', sender: '@bulk.test' }, policy: { concurrency: 3 } },
    action: { kind: 'smarthost', host: '127.0.0.1', port: 587, username: 'us', password: 'secret' },
  }
  assert.deepEqual(await route(operator, 'ann@far.test', () => true), {
    ...{ way: 'hosts', tls: 'opportunistic', key: `smtp:127.0.0.1:${sink.port}`, policy: {} },
    hosts: [{ name: '127.0.0.1', address: '127.0.0.1', port: sink.port }],
  })
  add(bulk)
  const told = await route(operator, 'ann@far.test', ({ rule }) => rule !== undefined, 'x@bulk.test')
  assert.deepEqual(told, {
    ...{ rule: 'bulk', username: 'us', way: 'hosts', tls: 'required', key: 'smtp:127.0.0.1:587 (bulk)' },
    ...{ policy: { concurrency: 3 }, hosts: [{ name: '127.0.0.1', address: '127.0.0.1', port: 587 }] },
  })
  assert.equal(sink.sessions, 0)
})

test('nothing is sent before it is known where mail goes', { timeout: 60_000 }, async (t) => {
  const { sink, bus, delivery, send, until, statuses } = await platform(t, { directory: false })
  await delivery()
  await send(queueId(1), ['ann@far.test'])
  const directory = await bus('directory')
  const asked = Promise.withResolvers<void>()
  let answering = false
  await directory.answer(transports, async () => {
    asked.resolve()
    if (!answering) throw new Error('not yet')
    return { transports: [], more: false, revision: 1 }
  })
  await asked.promise
  assert.equal(sink.sessions, 0)
  answering = true
  await until(() => statuses.some(({ kind }) => kind === 'relayed'))
})
