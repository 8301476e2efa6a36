/** A bus, a spool, an SMTP sink as the smarthost, and as many replicas of delivery as a test wants. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'

import { connectBus, type ConnectedBus, keepProvisioned } from '@postbus/bus'
import {
  MailAccepted,
  MailOut,
  MailStatus,
  type Party,
  QueueId,
  type SigningKey,
  signingKeys,
  type Status,
} from '@postbus/contracts'
import { openSpoolWriter } from '@postbus/spool'
import { type SinkOptions, startNatsServer, startSmtpSink } from '@postbus/testkit'
import { pino } from 'pino'
import { Registry } from 'prom-client'

import { DeliveryConfig } from '../src/config.ts'
import { deliveryService } from '../src/service.ts'
import { taskTo } from './samples.ts'

const log = pino({ level: process.env['POSTBUS_TEST_LOG'] ?? 'silent' })
export type RecipientStatus = Exclude<Status, { kind: 'routed' }>

export async function platform(t: TestContext, sinkOptions: SinkOptions = {}) {
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
  const spoolDir = join(data, 'spool')
  const ledgerFile = join(data, 'delivery.sqlite')
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

  const keys: SigningKey[] = []

  return {
    ...{ nats, sink, bus, statuses, data, ledgerFile, keys },
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
    /** Another replica. Stopped by the result, as a signal would. */
    async delivery(settings: Record<string, string> = {}): Promise<() => Promise<void>> {
      const stopping = new AbortController()
      const own: (() => Promise<void> | void)[] = []
      const connected = await connectBus({ servers: nats.url, nkeySeed: nats.seeds.delivery, party: 'delivery', log })
      own.push(() => connected.close())
      const config = DeliveryConfig.parse({
        MAIL_HOSTNAME: 'mx.example.org',
        SPOOL_DIR: spoolDir,
        DELIVERY_DATABASE: ledgerFile,
        ...('DNS_SERVERS' in settings ? {} : { DELIVERY_SMARTHOST: `127.0.0.1:${sink.port}` }),
        DELIVERY_RETRY_FIRST_MS: '300',
        DELIVERY_RETRY_GREYLIST_MS: '300',
        DELIVERY_LEASE_MS: '3000',
        // Without a directory mail of ours would wait.
        DELIVERY_DKIM: 'off',
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
    async send(queueId: string, forwardPaths: string[], changes: object = {}, header = ''): Promise<MailOut[]> {
      const id = QueueId.parse(queueId)
      const text = `${header}Subject: ${id}\r\n\r\nhello\r\n`
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
      const tasks = forwardPaths.map((path) =>
        taskTo(path, { queueId: id, site: site(path), expiresAt, size: text.length, ...changes }),
      )
      await Promise.all(tasks.map((task) => router.publish(MailOut, task)))
      await router.close()
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

export const queueIdOf = (number: number): string => `01J9ZK3V8Q6X4T2M7N5R1${String(number).padStart(5, '0')}`
