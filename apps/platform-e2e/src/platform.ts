/** A whole platform for one scenario: real processes on free ports in a directory of its own, stopped with the test. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'

const root = join(import.meta.dirname, '..', '..', '..')
const START_MS = 120_000
const POLL_MS = 25

export interface Ready {
  host: string
  ports: Record<string, number>
  metrics: Record<string, number>
  domains: string[]
  accounts: { address: string; password: string }[]
  ca: string
  data: string
  pids: Record<string, number>
}

export interface Platform {
  /** As the ready file says now: pids change when a process was replaced. */
  ready(): Ready
  /** kill -9 of the process that runs an instance, or of `nats`. Resolves when it is replaced. */
  kill(instance: string): Promise<void>
  /** SIGTERM: it drains and ends. Resolves when it is replaced. */
  terminate(instance: string): Promise<void>
  /** Until every instance answers /readyz. */
  untilReady(): Promise<void>
  /** SIGINT, as Ctrl-C; resolves with the exit code. */
  stop(): Promise<number | null>
  output(): string
}

export interface PlatformOptions {
  args?: string[]
  /** A directory to start on again; it is kept. */
  data?: string
}

export async function startPlatform(t: TestContext, options: PlatformOptions = {}): Promise<Platform> {
  const dir = await mkdtemp(join(tmpdir(), 'postbus-e2e-'))
  const data = options.data ?? join(dir, 'data')
  const readyFile = join(dir, 'ready.json')
  const basePort = await freeBasePort()
  const args = ['--data', data, '--base-port', String(basePort), '--ready-file', readyFile, ...(options.args ?? [])]
  const child = spawn(process.execPath, [join(root, 'tools/start/main.ts'), ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => void (output += text))
  }
  const platform = attach(child, readyFile, () => output)
  t.after(async () => {
    await platform.stop()
    await rm(dir, { recursive: true, force: true })
  })
  await until(
    () => existsSync(readyFile),
    START_MS,
    () => `the platform did not start:\n${output}`,
    child,
  )
  return platform
}

function attach(child: ChildProcess, readyFile: string, output: () => string): Platform {
  const ready = (): Ready => JSON.parse(readFileSync(readyFile, 'utf8')) as Ready
  const alive = (): boolean => child.exitCode === null && child.signalCode === null
  async function replaced(instance: string, signal: NodeJS.Signals, withinMs: number): Promise<void> {
    const { pids } = ready()
    const pid = pids[instance]
    if (pid === undefined) throw new Error(`${instance} has no process now`)
    process.kill(pid, signal)
    await until(
      () => ready().pids[instance] !== undefined && ready().pids[instance] !== pid,
      withinMs,
      () => `${instance} was not replaced:\n${output()}`,
      child,
    )
  }
  return {
    ready,
    output,
    kill: (instance) => replaced(instance, 'SIGKILL', 30_000),
    terminate: (instance) => replaced(instance, 'SIGTERM', 60_000),
    async untilReady() {
      const { host, metrics } = ready()
      for (const [name, port] of Object.entries(metrics)) {
        await until(
          () => isReady(host, port),
          60_000,
          () => `${name} is not ready:\n${output()}`,
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

async function isReady(host: string, port: number): Promise<boolean> {
  try {
    return (await fetch(`http://${host}:${port}/readyz`, { signal: AbortSignal.timeout(1000) })).ok
  } catch {
    return false
  }
}

/** The sum of a counter or gauge of one instance, over those of its series that have these labels; 0 when it has none. */
export async function metric({ host, metrics }: Ready, instance: string, name: string, labels = ''): Promise<number> {
  const page = await (await fetch(`http://${host}:${metrics[instance]}/metrics`)).text()
  const series = page.split('\n').filter((line) => new RegExp(`^${name}[{ ]`).test(line) && line.includes(labels))
  return series.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0)
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

/** A base port whose mail, bus and health ports are all free now. */
async function freeBasePort(): Promise<number> {
  for (let tries = 0; tries < 50; tries++) {
    const base = 10_000 + Math.floor(Math.random() * 300) * 100
    const wanted = [25, 587, 465, 143, 993, 110, 995, 4222, ...Array.from({ length: 20 }, (_, index) => 6000 + index)]
    const free = await Promise.all(wanted.map((port) => isFree(base + port)))
    if (free.every(Boolean)) return base
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
