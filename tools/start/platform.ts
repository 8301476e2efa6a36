/** Starts the embedded profile, watches over it, and stops it in order: intake first, the broker last. */
import { existsSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'

import { makeDirectory, syncDirectory } from '@postbus/blobs/files'
import { connectBus } from '@postbus/bus'
import { DataDirectoryInUse, type DataLayout, layoutOf, lockDataDirectory } from '@postbus/profile'
import { pino } from 'pino'

import { startBroker } from './broker.ts'
import { certificates } from './certificates.ts'
import { DEMO_ALIAS_DOMAIN, DEMO_DOMAIN, demoAccounts } from './demo.ts'
import { keysOf } from './keys.ts'
import type { StartOptions } from './options.ts'
import { LOOPBACK, plan, settings, stopWaves, type Instance, type Plan, type Surroundings } from './plan.ts'
import { welcome } from './print.ts'
import { ReadyFile, type Ready } from './ready-file.ts'
import { untilReady } from './readiness.ts'
import { scrapeTargets } from './scrape-targets.ts'
import { supervise, type Supervised, type SupervisorEvents } from './supervisor.ts'

/** MAIL_OUT streams; one machine has one disk to share. */
const SHARDS = 1
/** What a service may take to drain before it is killed; its own deadline is shorter. */
const STOP_MS = 30_000
/** Longer than the slowest recovery of a broker with a large queue. */
const READY_MS = 120_000
/** How soon a replaced process is told of. */
const POLL_MS = 20
const EX_UNAVAILABLE = 69
/** A signal this soon after the first is the same one, from the terminal and from npm. */
const SAME_SIGNAL_MS = 1000

/** @returns the exit code, when everything has stopped. */
export async function startPlatform(options: StartOptions, root: string): Promise<number> {
  const startedAt = Date.now()
  const stopping = stopSignal()
  const { data, host } = options
  const dirs = layoutOf(data)
  if (existsSync(dirs.restoring)) {
    process.stderr.write(`${data} holds a restore that was not finished; run postbus restore again\n`)
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

  const layout = plan(options)
  const keys = await keysOf(dirs.keys)
  const tls = await certificates(dirs.tls, ['localhost', DEMO_DOMAIN, `mail.${DEMO_DOMAIN}`, '127.0.0.1', '::1'])
  const natsUrl = `nats://${LOOPBACK}:${layout.ports.nats}`
  const around: Surroundings = {
    data,
    host,
    natsUrl,
    seedFile: (party) => join(dirs.keys, `${party}.nk`),
    certificates: tls,
    hostname: DEMO_DOMAIN,
    set: options.set,
  }
  await writeFile(
    dirs.operator,
    `${JSON.stringify({ natsUrl, operatorNkeyFile: keys.operator.seedFile, ca: tls.ca }, null, 2)}\n`,
  )

  const running: Supervised[] = []
  let ready: Omit<Ready, 'pids'> | undefined
  const readyFile = options.readyFile === null ? null : new ReadyFile(options.readyFile)
  const announce = async (): Promise<void> => {
    const known = ready
    if (known === undefined) return
    while (running.some(({ pid }) => pid === null) && !stopping.signal.aborted) await pause(POLL_MS)
    if (stopping.signal.aborted) return
    await readyFile?.write(() => ({ ...known, pids: pidsOf(layout, running) }))
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

  try {
    running.push(
      await startBroker({
        ...{ host: LOOPBACK, port: layout.ports.nats, data, keys, shards: SHARDS, events },
        maxBytes: options.busBytes,
        administrators: options.busAdministrators,
      }),
    )
    const settingsFile = dirs.settings
    const instances = layout.processes.flatMap((process) => process.instances)
    await writeFile(
      settingsFile,
      JSON.stringify(Object.fromEntries(instances.map((instance) => [instance.name, settings(instance, around)]))),
      { mode: 0o600 },
    )
    await writeFile(dirs.scrapeTargets, scrapeTargets(instances))
    for (const { name, instances } of layout.processes) {
      if (instances.length === 0) continue
      running.push(
        supervise(
          {
            name,
            command: process.execPath,
            args: [join(root, 'tools', 'run', 'main.ts'), ...instances.map((instance) => instance.name)],
            env: { POSTBUS_SETTINGS: settingsFile },
            logFile: join(dirs.logs, `${name}.log`),
            lifeline: 'ipc',
            stopMs: STOP_MS,
          },
          events,
        ),
      )
    }
    const notReady = await untilReady(LOOPBACK, instances, READY_MS, stopping.signal)
    if (notReady !== null) stopping.stop(notReady)
    if (!stopping.signal.aborted) {
      const accounts = await demoAccounts(data, () =>
        connectBus({
          servers: natsUrl,
          party: 'operator',
          nkeyFile: keys.operator.seedFile,
          log: pino({ level: 'silent' }),
        }),
      )
      ready = {
        host,
        ports: { ...layout.ports, ...replicaPorts(instances) },
        metrics: Object.fromEntries(instances.map(({ name, healthPort }) => [name, healthPort])),
        domains: [DEMO_DOMAIN, DEMO_ALIAS_DOMAIN],
        accounts,
        ca: tls.ca,
        data,
      }
      await announce()
      process.stdout.write(welcome(ready, Date.now() - startedAt, 'node_modules/.bin/postbus'))
    }
    await stopping.done
  } finally {
    process.stdout.write('stopping …\n')
    await readyFile?.remove()
    for (const wave of stopWaves(layout)) {
      await Promise.all(running.filter(({ name }) => wave.includes(name)).map((process) => process.stop()))
    }
    await unlock()
  }
  process.stdout.write(`stopped${stopping.reason === null ? '' : `: ${stopping.reason}`}\n`)
  return stopping.reason === null ? 0 : 1
}

/** Mail that is flushed into a directory whose own name is not may go with that name. */
async function makeDataDirectory({ data, databases, spool, blobs, nats, logs, run }: DataLayout): Promise<void> {
  for (const dir of [databases, spool, blobs, nats, logs, run]) await makeDirectory(dir)
  // Also what an earlier start made and did not live to flush.
  await syncDirectory(data)
  await syncDirectory(dirname(data))
}

function pidsOf(layout: Plan, running: readonly Supervised[]): Record<string, number> {
  const pids = new Map(running.map(({ name, pid }) => [name, pid]))
  const entries = layout.processes.flatMap(({ name, instances }) =>
    instances.map((instance): [string, number | null | undefined] => [instance.name, pids.get(name)]),
  )
  return Object.fromEntries(
    [...entries, ['nats', pids.get('nats')] as const].filter(
      (entry): entry is [string, number] => typeof entry[1] === 'number',
    ),
  )
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
