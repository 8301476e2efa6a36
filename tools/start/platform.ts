/** Starts a profile, watches over it, and stops it in order: intake first, brokers and stores last. */
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'

import { makeDirectory, syncDirectory } from '@postbus/blobs/files'
import { connectBus } from '@postbus/bus'
import { DataDirectoryInUse, type DataLayout, layoutOf, lockDataDirectory, OperatorAccess } from '@postbus/profile'
import { pino } from 'pino'

import { startBrokers } from './broker.ts'
import { certificates } from './certificates.ts'
import { Children } from './children.ts'
import { type Answer, listenForOrders, type Order } from './control.ts'
import { DEMO_ALIAS_DOMAIN, DEMO_DOMAIN, demoAccounts } from './demo.ts'
import { writeDurably } from './durable-file.ts'
import { keysOf } from './keys.ts'
import type { Replicas, StartOptions } from './options.ts'
import { Missing } from './missing.ts'
import {
  endpoints,
  LOOPBACK,
  LOOPBACK_NAME,
  natsUrl,
  plan,
  type Instance,
  type Plan,
  type Surroundings,
} from './plan.ts'
import { whyNotFree } from './ports.ts'
import { welcome } from './print.ts'
import { ReadyFile, type Ready } from './ready-file.ts'
import { untilReady } from './readiness.ts'
import { startStores } from './stores.ts'
import type { Supervised, SupervisorEvents } from './supervisor.ts'

/** Longer than the slowest recovery of a broker with a large queue. */
const READY_MS = 120_000
/** Longer than a usual start on a slow machine: then who waits wants to know what for. */
const SLOW_MS = 15_000
/** Longer than what a killed start left behind takes to drain and end. */
const PORTS_MS = 40_000
/** How soon a replaced process is told of. */
const POLL_MS = 20
const EX_UNAVAILABLE = 69
/** A signal this soon after the first is the same one, from the terminal and from npm. */
const SAME_SIGNAL_MS = 1000

/** @returns the exit code, when everything has stopped. */
export async function startPlatform(options: StartOptions, root: string): Promise<number> {
  const startedAt = Date.now()
  const stopping = stopSignal()
  const { data, host, profile } = options
  const dirs = layoutOf(data)
  const unusable = await whyUnusable(dirs, profile)
  if (unusable !== null) {
    process.stderr.write(`${unusable}\n`)
    return EX_UNAVAILABLE
  }
  await makeDataDirectory(dirs)
  let unlock: () => Promise<void>
  try {
    unlock = await lockDataDirectory(data)
  } catch (error) {
    if (!(error instanceof DataDirectoryInUse)) throw error
    process.stderr.write(`${error.message}\n`)
    return EX_UNAVAILABLE
  }

  let layout = plan(options)
  const taken = await whyNotFree(endpoints(layout, options), {
    ...{ ms: PORTS_MS, signal: stopping.signal },
    waiting: (why) => process.stderr.write(`${why}; waiting for its end\n`),
  })
  if (taken !== null || stopping.signal.aborted) {
    if (taken !== null) process.stderr.write(`${taken}; another --base-port or --host may do\n`)
    await unlock()
    return taken === null ? 0 : EX_UNAVAILABLE
  }
  const keys = await keysOf(dirs.keys)
  const tls = await certificates(dirs.tls, ['localhost', DEMO_DOMAIN, `mail.${DEMO_DOMAIN}`, '127.0.0.1', '::1'])
  // An authority of the bus' own: whoever had a certificate of it could join the cluster.
  const busTls =
    profile === 'embedded' ? null : await certificates(dirs.busTls, [LOOPBACK_NAME, LOOPBACK], { client: true })
  const access: OperatorAccess = {
    ...{ natsUrl: natsUrl(layout), operatorNkeyFile: keys.operator.seedFile, shards: layout.shards, profile },
    ca: (busTls ?? tls).ca,
  }
  await writeDurably(dirs.operator, `${JSON.stringify(access, null, 2)}\n`)

  /** Brokers and stores. */
  const servers: Supervised[] = []
  let children: Children | undefined
  let ready: Omit<Ready, 'pids'> | undefined
  const readyFile = options.readyFile === null ? null : new ReadyFile(options.readyFile)
  const running = (): Supervised[] => [...servers, ...(children?.all ?? [])]
  const announce = async (): Promise<void> => {
    if (ready === undefined) return
    while (running().some(({ pid }) => pid === null) && !stopping.signal.aborted) await pause(POLL_MS)
    const known = ready
    if (stopping.signal.aborted) return
    await readyFile?.write(() => ({ ...known, pids: pidsOf(servers, children) }))
  }
  const events: SupervisorEvents = {
    restarted(name, how) {
      process.stderr.write(`${name} ended (${how}) and was started again; see ${join(dirs.logs, `${name}.log`)}\n`)
      announce().catch((error: unknown) => process.stderr.write(`the ready file was not written: ${String(error)}\n`))
    },
    misconfigured(name) {
      stopping.stop(`${name} refused its settings; see ${join(dirs.logs, `${name}.log`)}`)
    },
  }
  let closeControl: (() => Promise<void>) | undefined

  try {
    const brokers = await startBrokers({
      ...{ plan: layout, data, keys, events, tls: busTls },
      maxBytes: options.busBytes,
      administrators: options.busAdministrators,
    })
    servers.push(...brokers)
    const stores = await startStores(options, layout, { dirs, events, started: (server) => void servers.push(server) })
    const around: Surroundings = {
      ...{ data, host, stores, busCa: busTls?.ca ?? null },
      seedFile: (party) => join(dirs.keys, `${party}.nk`),
      certificates: tls,
      hostname: DEMO_DOMAIN,
      set: options.set,
    }
    const services = new Children(layout, { root, dirs, around, events })
    children = services
    await services.become(layout)
    const waiting = {
      ...{ timeoutMs: READY_MS, slowMs: SLOW_MS, signal: stopping.signal },
      slow: (why: string) => process.stderr.write(`not ready yet: ${why}\n`),
    }
    const notReady = await untilReady(LOOPBACK, services.instances, waiting)
    if (notReady !== null) stopping.stop(notReady)
    if (!stopping.signal.aborted) {
      const connect = (): ReturnType<typeof connectBus> =>
        connectBus({
          ...{ servers: access.natsUrl, party: 'operator', nkeyFile: keys.operator.seedFile },
          ...(busTls && { tls: { caFile: busTls.ca } }),
          log: pino({ level: 'silent' }),
        })
      const accounts = options.demo ? await demoAccounts(data, connect) : []
      const announced = {
        ...{ host, accounts, data, profile, ca: tls.ca },
        bus: { url: access.natsUrl, ca: busTls?.ca ?? null },
        domains: options.demo ? [DEMO_DOMAIN, DEMO_ALIAS_DOMAIN] : [],
      }
      ready = { ...announced, ...portsOf(layout, services.instances) }
      const obey = async ({ scale }: Order): Promise<Answer> => {
        if (!options.processes) return { refused: 'services share processes here: start with --processes' }
        options.replicas = { ...options.replicas, ...scale }
        layout = plan(options)
        await services.become(layout)
        ready = { ...announced, ...portsOf(layout, services.instances) }
        await announce()
        // Others may wait for what is at none now.
        const scaled = services.instances.filter(({ service }) => Object.hasOwn(scale, service))
        const waitsFor = await untilReady(LOOPBACK, scaled, waiting)
        return waitsFor === null ? { done: counted(options.replicas) } : { refused: waitsFor }
      }
      try {
        closeControl = await listenForOrders(dirs.control, obey)
      } catch (error) {
        // Not every file system has sockets; all the rest works without.
        process.stderr.write(`nothing can be scaled while it runs: ${String(error)}\n`)
      }
      await announce()
      process.stdout.write(welcome(ready, Date.now() - startedAt, 'node_modules/.bin/postbus'))
    }
    await stopping.done
  } catch (error) {
    if (!(error instanceof Missing)) throw error
    stopping.stop(error.message)
  } finally {
    process.stdout.write('stopping …\n')
    await readyFile?.remove()
    await closeControl?.()
    await children?.stop()
    await Promise.all(servers.map((server) => server.stop()))
    await unlock()
  }
  process.stdout.write(`stopped${stopping.reason === null ? '' : `: ${stopping.reason}`}\n`)
  return stopping.reason === null ? 0 : 1
}

async function whyUnusable({ data, restoring, operator }: DataLayout, profile: string): Promise<string | null> {
  if (existsSync(restoring)) return `${data} holds a restore that was not finished; run postbus restore again`
  if (!existsSync(operator)) return null
  const held = OperatorAccess.safeParse(JSON.parse(await readFile(operator, 'utf8'))).data?.profile
  if (held === undefined || held === profile) return null
  return `${data} holds the ${held} profile, which is moved, not started, as ${profile}: see postbus migrate`
}

/** Mail that is flushed into a directory whose own name is not may go with that name. */
async function makeDataDirectory({ data, databases, spool, blobs, nats, logs, run }: DataLayout): Promise<void> {
  for (const dir of [databases, spool, blobs, nats, logs, run]) await makeDirectory(dir)
  // Also what an earlier start made and did not live to flush.
  await syncDirectory(data)
  await syncDirectory(dirname(data))
}

function pidsOf(servers: readonly Supervised[], children: Children | undefined): Record<string, number> {
  const own = servers.flatMap(({ name, pid }): [string, number][] => (pid === null ? [] : [[name, pid]]))
  return Object.fromEntries([...(children?.pids() ?? []), ...own])
}

function portsOf({ ports, brokers, profile }: Plan, instances: readonly Instance[]): Pick<Ready, 'ports' | 'metrics'> {
  const monitoring = profile === 'embedded' ? [] : brokers
  return {
    ports: {
      ...ports,
      ...Object.fromEntries(brokers.map(({ name, port }) => [name, port])),
      ...Object.fromEntries(monitoring.map(({ name, monitoringPort }) => [`${name}-monitoring`, monitoringPort])),
      ...replicaPorts(instances),
    },
    metrics: Object.fromEntries(instances.map(({ name, healthPort }) => [name, healthPort])),
  }
}

function replicaPorts(instances: readonly Instance[]): Record<string, number> {
  return Object.fromEntries(
    instances
      .filter(({ name, service }) => name !== service)
      .flatMap(({ name, service, listens }) =>
        Object.entries(listens).map(([port, number]) => [`${port}${name.slice(service.length)}`, number]),
      ),
  )
}

const counted = (replicas: Replicas): string =>
  Object.entries(replicas)
    .map(([service, count]) => `${service} ${count}`)
    .join(', ')

/** Resolves at SIGINT or SIGTERM, or when something inside asks to stop. A second signal, later, ends at once. */
function stopSignal() {
  const { promise, resolve } = Promise.withResolvers<void>()
  const abort = new AbortController()
  const state = {
    signal: abort.signal,
    done: promise,
    reason: null as string | null,
    stop(reason: string) {
      state.reason ??= reason
      abort.abort()
      resolve()
    },
  }
  let firstAt: number | undefined
  const onSignal = (): void => {
    if (firstAt !== undefined && Date.now() - firstAt > SAME_SIGNAL_MS) process.exit(1)
    firstAt ??= Date.now()
    abort.abort()
    resolve()
  }
  process.on('SIGINT', onSignal).on('SIGTERM', onSignal).on('SIGHUP', onSignal)
  return state
}
