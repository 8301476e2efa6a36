/** A whole platform for one scenario: real processes on free ports in a directory of its own, stopped with the test. */
import { execFile, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { chmod, mkdtemp, readFile, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import type { TestContext } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { promisify } from 'node:util'

import { claimed } from '@postbus/testkit'

import { mountSmallDisk, type SmallDisk } from './small-disk.ts'

const root = join(import.meta.dirname, '..', '..', '..')
const run = promisify(execFile)
const START_MS = 120_000
const READY_MS = 120_000
/** One look: a process that is stopped does not hold up the next one for long. */
const ANSWER_MS = 3000
const POLL_MS = 25

export type Profile = 'embedded' | 'scale-out'

/** Every scenario's, unless it says another: POSTBUS_TEST_PROFILE. */
export const PROFILE: Profile = process.env['POSTBUS_TEST_PROFILE'] === 'scale-out' ? 'scale-out' : 'embedded'

/** Where scale-out keeps bytes in the scenarios. */
export const BYTES = process.env['POSTBUS_TEST_BYTES'] ?? 'files'

/** For a scenario about what only the embedded profile has: on another it is skipped. @returns whether it is */
export function isEmbeddedOnly(t: TestContext, why: string): boolean {
  if (PROFILE === 'embedded') return false
  t.skip(`embedded only: ${why}`)
  return true
}

export interface Ready {
  profile: Profile
  host: string
  ports: Record<string, number>
  metrics: Record<string, number>
  domains: string[]
  accounts: { address: string; password: string }[]
  ca: string
  data: string
  /** How clients reach the bus; `ca`: what it is verified with, where it speaks TLS. */
  bus: { url: string; ca: string | null }
  pids: Record<string, number>
}

export interface Platform {
  /** The start tool's. */
  readonly process: ChildProcess
  /** As the ready file says now: pids change when a process was replaced. */
  ready(): Ready
  /** kill -9 of the process that runs an instance, or of `nats`. Resolves when it is replaced. */
  kill(instance: string): Promise<void>
  /** SIGTERM: it drains and ends. Resolves when it is replaced. */
  terminate(instance: string): Promise<void>
  /** Until every instance answers /readyz, and every server of a cluster has caught up. */
  untilReady(): Promise<void>
  /** So many replicas of some services from now on. Resolves when those that are new answer /readyz. */
  scale(replicas: Readonly<Record<string, number>>): Promise<void>
  /** SIGSTOP to all replicas of a service: connections stay open and nothing answers. */
  freeze(service: string): void
  thaw(service: string): void
  /** Octets in memory of every process, by the instance it runs. */
  memory(): Promise<Record<string, number>>
  /** A disk of its own for a part of the data directory, as `disks` named it. */
  disk(path: string): SmallDisk
  /** SIGINT, as Ctrl-C; resolves with the exit code. */
  stop(): Promise<number | null>
  output(): string
}

export interface PlatformOptions {
  args?: string[]
  profile?: Profile
  /** A directory to start on again; it is kept. */
  data?: string
  /** Parts of the data directory that are disks of their own, with their size in octets. */
  disks?: Readonly<Record<string, number>>
  env?: Readonly<Record<string, string>>
}

export async function startPlatform(t: TestContext, options: PlatformOptions = {}): Promise<Platform> {
  const dir = await mkdtemp(join(tmpdir(), 'postbus-e2e-'))
  const data = options.data ?? join(dir, 'data')
  const readyFile = join(dir, 'ready.json')
  const basePort = await freeBasePort()
  const profile = options.profile ?? PROFILE
  const own = ['--profile', profile, '--data', data, '--base-port', String(basePort), '--ready-file', readyFile]
  // A database server under root runs as somebody else, who must be able to get there.
  if (profile === 'scale-out') for (const path of [dir, dirname(data)]) await chmod(path, 0o711)
  const bytes = profile === 'scale-out' ? ['--bytes', BYTES] : []
  const args = [...own, ...bytes, ...(options.args ?? [])]
  const disks = new Map<string, SmallDisk>()
  for (const [path, bytes] of Object.entries(options.disks ?? {})) {
    disks.set(path, await mountSmallDisk(join(data, path), bytes))
  }
  const child = spawn(process.execPath, [join(root, 'tools/start/main.ts'), ...args], {
    env: { ...process.env, ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => void (output += text))
  }
  const platform = attach(child, readyFile, () => output, disks)
  t.after(async () => {
    await platform.stop()
    for (const disk of disks.values()) await disk.unmount()
    // A store that was just stopped may still be writing.
    await rm(dir, { recursive: true, force: true, maxRetries: 5 })
  })
  await until(
    () => existsSync(readyFile),
    START_MS,
    () => `the platform did not start:\n${output}`,
    child,
  )
  return platform
}

function attach(
  child: ChildProcess,
  readyFile: string,
  output: () => string,
  disks: ReadonlyMap<string, SmallDisk>,
): Platform {
  const ready = (): Ready => JSON.parse(readFileSync(readyFile, 'utf8')) as Ready
  const alive = (): boolean => child.exitCode === null && child.signalCode === null
  function pidOf(instance: string): number {
    const pid = ready().pids[instance]
    if (pid === undefined) throw new Error(`${instance} has no process now`)
    return pid
  }
  function signalAll(service: string, signal: NodeJS.Signals): void {
    const replicas = Object.entries(ready().pids).filter(([name]) => serviceOf(name) === service)
    if (replicas.length === 0) throw new Error(`${service} has no process now`)
    for (const [, pid] of replicas) process.kill(pid, signal)
  }
  async function replaced(instance: string, signal: NodeJS.Signals, withinMs: number): Promise<void> {
    const pid = pidOf(instance)
    process.kill(pid, signal)
    await until(
      () => ready().pids[instance] !== undefined && ready().pids[instance] !== pid,
      withinMs,
      () => `${instance} was not replaced:\n${output()}`,
      child,
    )
  }
  return {
    ...{ process: child, ready, output },
    kill: (instance) => replaced(instance, 'SIGKILL', 60_000),
    terminate: (instance) => replaced(instance, 'SIGTERM', 60_000),
    async scale(replicas) {
      const counts = Object.entries(replicas).map(([service, count]) => `${service}=${count}`)
      await run(process.execPath, [join(root, 'tools/start/main.ts'), 'scale', ...counts, '--data', ready().data])
    },
    freeze: (service) => signalAll(service, 'SIGSTOP'),
    thaw: (service) => signalAll(service, 'SIGCONT'),
    async memory() {
      const entries = Object.entries(ready().pids).map(async ([instance, pid]) => [instance, await residentBytes(pid)])
      return Object.fromEntries(await Promise.all(entries)) as Record<string, number> // Object.fromEntries forgets the values.
    },
    disk(path) {
      const disk = disks.get(path)
      if (disk === undefined) throw new Error(`${path} has no disk of its own`)
      return disk
    },
    async untilReady() {
      const { host, metrics } = ready()
      for (const [name, port] of Object.entries(metrics)) {
        await until(
          () => isReady(host, port),
          READY_MS,
          () => `${name} is not ready:\n${output()}`,
          child,
        )
      }
      const brokers = Object.entries(ready().ports).filter(([name]) => name.endsWith('-monitoring'))
      for (const [name, port] of brokers) {
        await until(
          () => isHealthy('127.0.0.1', port),
          READY_MS,
          () => `${name}: not healthy:\n${output()}`,
          child,
        )
      }
    },
    async stop() {
      if (alive()) {
        child.kill('SIGINT')
        await once(child, 'exit')
      }
      return child.exitCode
    },
  }
}

/** VmRSS, in KiB — proc_pid_status(5) */
async function residentBytes(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8')
  return Number(/^VmRSS:\s*(\d+)/m.exec(status)?.[1] ?? 0) * 1024
}

const isReady = (host: string, port: number): Promise<boolean> => answersOk(`http://${host}:${port}/readyz`)

/** nats-server: all its copies of streams and consumers are current. */
const isHealthy = (host: string, port: number): Promise<boolean> => answersOk(`http://${host}:${port}/healthz`)

async function answersOk(url: string): Promise<boolean> {
  try {
    return (await fetch(url, { signal: AbortSignal.timeout(ANSWER_MS) })).ok
  } catch {
    return false
  }
}

/** The sum of a counter or gauge of a service, over its replicas and those of its series that have these labels; 0 when it has none. */
export const metric = (ready: Ready, service: string, name: string, labels = ''): Promise<number> =>
  metricOfAll(ready, service, (page) => {
    const series = page.split('\n').filter((line) => new RegExp(`^${name}[{ ]`).test(line) && line.includes(labels))
    return series.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0)
  })

/** `router` of `router-2`. */
const serviceOf = (instance: string): string => instance.replace(/-\d+$/, '')

/** What is read off the metrics pages of all replicas of a service, together. */
export async function metricOfAll(
  { host, metrics }: Ready,
  service: string,
  read: (page: string) => number,
): Promise<number> {
  const ports = Object.entries(metrics).filter(([name]) => serviceOf(name) === service)
  const pages = await Promise.all(ports.map(async ([, port]) => (await fetch(`http://${host}:${port}/metrics`)).text()))
  return pages.reduce((sum, page) => sum + read(page), 0)
}

/** Waits for a fact, looking often; a fact that does not come true in time fails with what is known. */
export async function until(
  fact: () => boolean | Promise<boolean>,
  timeoutMs: number,
  describe: () => string,
  process?: ChildProcess,
): Promise<void> {
  const deadline = Date.now() + timeoutMs
  while (!(await fact())) {
    if (Date.now() > deadline || (process && (process.exitCode !== null || process.signalCode !== null))) {
      throw new Error(describe())
    }
    await pause(POLL_MS)
  }
}

/** Of a base port: the bus' further servers and routes, the stores, further replicas. */
const SCALE_OUT = [
  4223,
  4224,
  5222,
  5223,
  5224,
  5432,
  8222,
  8223,
  8224,
  9000,
  ...Array.from({ length: 20 }, (_, index) => 7000 + index),
]

/** With all its ports a platform stays below the range that connections are given their own from (32768). */
const BASES = 137

/** A base port whose mail, bus and health ports are all free now. No two scenarios get the same, also before they listen. */
async function freeBasePort(): Promise<number> {
  for (let tries = 0; tries < 50; tries++) {
    const base = 10_000 + Math.floor(Math.random() * BASES) * 100
    const wanted = [
      25,
      587,
      465,
      143,
      993,
      110,
      995,
      4222,
      ...Array.from({ length: 20 }, (_, index) => 6000 + index),
      ...SCALE_OUT,
    ]
    const free = await Promise.all(wanted.map((port) => isFree(base + port)))
    if (free.every(Boolean) && (await claimed(base))) return base
  }
  throw new Error('no free ports')
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
}
