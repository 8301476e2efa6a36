/** The nats-servers of a profile: found or fetched, configured from the contracts, watched like every other process. */
import { mkdir, statfs, writeFile } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'

import { serverConfig, type Identity, type ServerConfigOptions } from '@postbus/contracts'

import { findNatsServer } from '../nats/find-server.mjs'
import { watchBrokerDisk } from './broker-disk.ts'
import type { Certificates } from './certificates.ts'
import { guarded } from './guarded.ts'
import type { Key } from './keys.ts'
import { LOOPBACK, LOOPBACK_NAME, type Broker, type Plan } from './plan.ts'
import { supervise, type Supervised, type SupervisorEvents } from './supervisor.ts'

const GIB = 1024 ** 3
/** What the bus may fill of the free disk; the spool and the mailboxes need the rest. */
const SHARE_OF_FREE_DISK = 0.25
/** The streams' own limits are set aside at creation; less than this could not hold them. */
const LEAST_BYTES = 6 * GIB
const MOST_BYTES = 64 * GIB
/** A server that is to be started anew has so long for its end. */
const END_MS = 5000
const STOP_MS = 20_000
/** Garbage it lets gather, in percent of what it needs; Go's own is 100. A long queue is memory there, and the laptop has other uses for it. */
const GARBAGE_PERCENT = '70'
/** A thread of it that finds nothing to do looks on for a while, on a core that a service on the same machine could use. */
const halfOfTheCores = (): number => Math.max(1, Math.floor(availableParallelism() / 2))
const CLUSTER = 'postbus'

export interface BrokerOptions {
  plan: Pick<Plan, 'brokers' | 'shards' | 'profile'>
  data: string
  keys: Record<Identity, Key>
  /** In a cluster: of an authority that signs nothing but these servers. */
  tls: Certificates | null
  /** What everything on the bus may occupy on each server (octets). Null: a share of the free disk. */
  maxBytes: number | null
  administrators: readonly string[]
  events: SupervisorEvents
}

export async function startBrokers(options: BrokerOptions): Promise<Supervised[]> {
  const command = await findNatsServer({ log: (line) => process.stderr.write(`${line}\n`) })
  return Promise.all(options.plan.brokers.map((broker) => startBroker(broker, command, options)))
}

async function startBroker(broker: Broker, command: string, options: BrokerOptions): Promise<Supervised> {
  const { plan, data, keys, administrators, events } = options
  const { name, port } = broker
  const config = join(data, 'run', `${name}.conf`)
  const pidFile = join(data, 'run', `${name}.pid`)
  const logFile = join(data, 'logs', `${name}.log`)
  const storeDir = plan.profile === 'embedded' ? join(data, 'nats') : join(data, 'nats', name)
  await mkdir(storeDir, { recursive: true })
  await writeFile(
    config,
    serverConfig({
      ...{ host: LOOPBACK, port, storeDir, pidFile, administrators },
      shards: plan.shards,
      users: Object.fromEntries(Object.entries(keys).map(([identity, { publicKey }]) => [identity, publicKey])),
      maxFileBytes: options.maxBytes ?? (await shareOfDisk(data, plan.brokers.length)),
      ...clustered(broker, options),
    }),
    { mode: 0o600 },
  )
  const server = supervise(
    {
      name,
      ...guarded(command, ['--config', config], 'TERM'),
      env: {
        GOGC: process.env['GOGC'] ?? GARBAGE_PERCENT,
        GOMAXPROCS: process.env['GOMAXPROCS'] ?? String(halfOfTheCores()),
      },
      ...{ logFile, pidFile, stopMs: STOP_MS },
    },
    events,
  )
  const watching = watchBrokerDisk({
    ...{ logFile, storeDir },
    end() {
      process.stderr.write(`${name} could not write while its disk was full, and is started anew; see ${logFile}\n`)
      const { pid } = server
      if (pid === null) return
      process.kill(pid, 'SIGTERM')
      // With a stream it could not write it may wait for ever for its own end.
      setTimeout(() => server.pid === pid && process.kill(pid, 'SIGKILL'), END_MS).unref()
    },
  })
  return {
    name,
    get pid() {
      return server.pid
    },
    stop() {
      watching.stop()
      return server.stop()
    },
  }
}

function clustered(
  { name, routePort, monitoringPort }: Broker,
  { plan, tls }: BrokerOptions,
): Partial<ServerConfigOptions> {
  if (tls === null) return {}
  const { ca: caFile, cert: certFile, key: keyFile } = tls
  return {
    tls: { certFile, keyFile },
    syncAlways: true,
    monitoring: { host: LOOPBACK, port: monitoringPort },
    cluster: {
      ...{ serverName: name, name: CLUSTER, host: LOOPBACK, port: routePort },
      routes: plan.brokers.map((other) => `tls://${LOOPBACK_NAME}:${other.routePort}`),
      tls: { certFile, keyFile, caFile },
    },
  }
}

async function shareOfDisk(data: string, servers: number): Promise<number> {
  const { bavail, bsize } = await statfs(data)
  const share = (bavail * bsize * SHARE_OF_FREE_DISK) / servers
  return Math.round(Math.min(Math.max(share, LEAST_BYTES), MOST_BYTES))
}
