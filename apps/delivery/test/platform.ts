/** What tests of delivery share: a real bus, a real spool, an SMTP sink as the smarthost, and replicas that come and go. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'

import { connectBus, type ConnectedBus, keepProvisioned } from '@postbus/bus'
import {
  DirectoryChanged,
  MailOut,
  MailStatus,
  type Party,
  QueueId,
  type SigningKey,
  signingKeys,
  type Status,
  type Transport,
  transports,
} from '@postbus/contracts'
import { openSpoolWriter } from '@postbus/spool'
import { type SinkOptions, startNatsServer, startSmtpSink } from '@postbus/testkit'
import { pino } from 'pino'
import { Registry } from '@postbus/metrics'

import { DeliveryConfig } from '../src/config.ts'
import { deliveryService } from '../src/service.ts'
import { putMessage, taskTo } from './samples.ts'

const log = pino({ level: process.env['POSTBUS_TEST_LOG'] ?? 'silent' })
export type RecipientStatus = Exclude<Status, { kind: 'routed' }>

/** Of the task, for all or by its forward-path. */
type Changes = Record<string, unknown> | ((forwardPath: string) => Record<string, unknown>)

export interface Replica {
  /** As a signal would. */
  stop(): Promise<void>
  /** Cut off from the bus, without a word to anybody; what it was doing is given back. */
  die(): Promise<void>
  /** Summed over its labels. */
  metric(name: string): Promise<number>
}

const PUBLISHED_AT_ONCE = 500

/** @param rulesAreKnown whether a directory tells transport rules */
export async function platform(t: TestContext, sinkOptions: SinkOptions = {}, { rulesAreKnown = true } = {}) {
  const data = await mkdtemp(join(tmpdir(), 'postbus-delivery-'))
  const over = new AbortController()
  const closes: (() => Promise<void> | void)[] = [() => rm(data, { recursive: true, force: true })]
  t.after(async () => {
    over.abort()
    for (const close of closes.reverse()) await close()
  })
  // After ours: what runs on the server stops before it does.
  const nats = await startNatsServer(t)
  const sink = await startSmtpSink(t, sinkOptions)
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
  const teller = await bus('directory')
  if (rulesAreKnown)
    await teller.answer(transports, async () => ({ transports: rules, more: false, revision: rules.length }))

  const spoolDir = join(data, 'spool')
  const ledgerFile = join(data, 'delivery.sqlite')
  const writer = await openSpoolWriter(spoolDir, { writerName: 'test' })
  closes.push(() => writer.close())

  let router: ConnectedBus | undefined
  const statuses: RecipientStatus[] = []
  const waiting = new Set<() => void>()
  await (
    await bus('custody')
  ).consume(MailStatus, 'custody', { maxInFlight: 100 }, async (message) => {
    for (const status of message.statuses) if (status.kind !== 'routed') statuses.push(status)
    for (const look of waiting) look()
    return { kind: 'done' }
  })

  const keys: SigningKey[] = []

  return {
    ...{ nats, sink, bus, statuses, data, ledgerFile, keys },
    /** In the directory, which says that it changed. */
    add(rule: Transport): void {
      rules.push(rule)
      teller.hint(DirectoryChanged, { revision: rules.length })
    },
    /** A directory that knows `keys`. @returns a promise of the last time it fails to answer, so often at first */
    async directory({ failures = 0 } = {}): Promise<{ failed: Promise<void> }> {
      const failed = Promise.withResolvers<void>()
      let left = failures
      await (
        await bus('directory')
      ).answer(signingKeys, async ({ domains }) => {
        if (left > 0) {
          if (--left === 0) failed.resolve()
          throw new Error('cannot say')
        }
        return { keys: keys.filter(({ domain }) => domains.includes(domain)) }
      })
      return { failed: failed.promise }
    },
    /** Another replica. */
    async delivery(settings: Record<string, string> = {}): Promise<Replica> {
      const stopping = new AbortController()
      const own: (() => Promise<void> | void)[] = []
      const connected = await connectBus({
        servers: nats.url,
        nkeySeed: nats.seeds.delivery,
        party: 'delivery',
        log,
        drainDeadlineMs: 3000,
      })
      own.push(() => connected.close())
      const config = DeliveryConfig.parse({
        MAIL_HOSTNAME: 'mx.example.org',
        SPOOL: spoolDir,
        DELIVERY_DATABASE: ledgerFile,
        ...('DNS_SERVERS' in settings ? {} : { DELIVERY_SMARTHOST: `127.0.0.1:${sink.port}` }),
        DELIVERY_RETRY_FIRST_MS: '300',
        DELIVERY_RETRY_GREYLIST_MS: '300',
        // Longer than anything here holds this process up; who wants to see one run out says a shorter one.
        DELIVERY_LEASE_MS: '10000',
        // Without a directory mail of ours would wait.
        DELIVERY_DKIM: 'off',
        DELIVERY_HEARTBEAT_MS: '300',
        DELIVERY_LANE_STEADY_MS: '500',
        ...settings,
      })
      const metrics = new Registry()
      const stop = async (): Promise<void> => {
        if (stopping.signal.aborted) return
        stopping.abort()
        for (const close of own.reverse()) await close()
      }
      closes.push(stop)
      await deliveryService.start({
        ...{ config, log, metrics, bus: connected, signal: stopping.signal },
        defer: (close) => void own.push(close),
        readiness: () => {},
        probe: () => {},
        tracer: null,
      })
      return {
        stop,
        die: () => connected.close(),
        async metric(name) {
          const { values } = (await metrics.getSingleMetric(name)?.get()) ?? { values: [] }
          return values.reduce((sum, { value }) => sum + value, 0)
        },
      }
    },
    /** A message in the spool, and its tasks on the bus. */
    async send(queueId: string, forwardPaths: string[], changes: Changes = {}, header = ''): Promise<MailOut[]> {
      const id = QueueId.parse(queueId)
      const text = `${header}Subject: ${id}\r\n\r\nhello\r\n`
      await putMessage(writer, id, text)
      router ??= await bus('router')
      const expiresAt = new Date(Date.now() + 3_600_000).toISOString()
      const tasks: MailOut[] = []
      const publishing: Promise<void>[] = []
      const site = (path: string): string => path.slice(path.indexOf('@') + 1)
      for (const path of forwardPaths) {
        const own = typeof changes === 'function' ? changes(path) : changes
        const task = taskTo(path, { queueId: id, site: site(path), expiresAt, size: text.length, ...own })
        tasks.push(task)
        publishing.push(router.publish(MailOut, task))
        if (publishing.length === PUBLISHED_AT_ONCE) await Promise.all(publishing.splice(0))
      }
      await Promise.all(publishing)
      return tasks
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

/** A valid queue id for a small number. */
export const queueId = (number: number): string => `01J9ZK3V8Q6X4T2M7N5R1${String(number).padStart(5, '0')}`
