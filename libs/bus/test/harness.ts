/** What the tests of the bus share: a provisioned server, buses of parties, sample events, a log that can be read. */
import type { TestContext } from 'node:test'

import { MailAccepted, MailLocal, QueueId, type Party } from '@postbus/contracts'
import {
  startNatsCluster,
  startNatsServer,
  type NatsCluster,
  type NatsServer,
  type NatsServerOptions,
} from '@postbus/testkit'
import { pino, type Logger } from 'pino'

import {
  connectBus,
  keepProvisioned,
  type BusOptions,
  type ConnectedBus,
  type ProvisionerOptions,
} from '../src/index.ts'

/** Silent, unless POSTBUS_TEST_LOG names a level. */
export const log: Logger = pino({ level: process.env['POSTBUS_TEST_LOG'] ?? 'silent' })

type Connect = (party: Party, options?: Partial<BusOptions>) => Promise<ConnectedBus>

export interface Platform {
  nats: NatsServer
  bus: Connect
}

export async function platform(
  t: TestContext,
  options: NatsServerOptions & Partial<ProvisionerOptions> = {},
): Promise<Platform> {
  const nats = await startNatsServer(t, options)
  return { nats, bus: await provisioned({ servers: nats.url, seeds: nats.seeds, defer: nats.defer }, options) }
}

export async function clusterPlatform(
  t: TestContext,
  options: Partial<ProvisionerOptions> = {},
): Promise<{ cluster: NatsCluster; bus: Connect }> {
  const cluster = await startNatsCluster(t)
  const { urls: servers, seeds, defer, caFile } = cluster
  const access = { servers, seeds, defer, tls: { caFile } }
  return { cluster, bus: await provisioned(access, { ...options, replicas: 3 }) }
}

type Access = Pick<BusOptions, 'servers' | 'tls'> & Pick<NatsServer, 'seeds' | 'defer'>

async function provisioned(
  { servers, tls, seeds, defer }: Access,
  options: Partial<ProvisionerOptions>,
): Promise<Connect> {
  const stopping = new AbortController()
  const buses: ConnectedBus[] = []
  const provisioner = await keepProvisioned({
    ...{ servers, tls, nkeySeed: seeds.provisioner, shards: 1, log, signal: stopping.signal },
    ...options,
  })
  defer(async () => {
    await Promise.all(buses.map((bus) => bus.close()))
    await provisioner.stop()
  })
  return async (party, busOptions) => {
    const bus = await connectBus({
      ...{ servers, tls, nkeySeed: seeds[party], party, log, drainDeadlineMs: 2000 },
      ...busOptions,
    })
    buses.push(bus)
    return bus
  }
}

const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ'

/** A valid queue id for a small number. */
export function queueIdOf(number: number): QueueId {
  let text = ''
  for (let rest = number; text.length < 26; rest = Math.floor(rest / 32)) text = `${ALPHABET[rest % 32]}${text}`
  return QueueId.parse(text)
}

export const accepted = (number: number): MailAccepted =>
  MailAccepted.schema.parse({
    queueId: queueIdOf(number),
    incarnation: 0,
    acceptedAt: '2026-01-05T10:00:00Z',
    origin: 'submission',
    size: 100,
    smtputf8: false,
    requireTls: false,
    envelope: { reversePath: 'smith@example.org', recipients: [{ forwardPath: 'jones@example.org' }] },
  })

export const local = (number: number): MailLocal =>
  MailLocal.schema.parse({
    ...accepted(number),
    n: number.toString(16).padStart(16, '0'),
    reversePath: 'smith@example.org',
    original: { forwardPath: 'jones@example.org' },
    forwardPath: 'jones@example.org',
    account: 'account1',
  })

/** Resolves when the condition holds; fails after a while, so that a broken promise does not hang the run. */
export async function until(condition: () => boolean | Promise<boolean>, withinMs = 60_000): Promise<void> {
  const deadline = Date.now() + withinMs
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`not within ${withinMs} ms: ${condition}`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}
