/**
 * A real nats-server for one test: loopback, a free port, a store of its own, the platform's permissions.
 * It can be killed and started again on the same port and store, as operators and power cuts do.
 */
import { execFile, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

import { createUser } from '@nats-io/nkeys'
import { identities, serverConfig, type Identity } from '@postbus/contracts'

export interface NatsServerOptions {
  /** Shards of MAIL_OUT the permissions are made for. Default 1. */
  shards?: number
  /** Bound of everything on disk; publishers are refused beyond. Default 6 GiB. */
  maxFileBytes?: number
}

export interface NatsServer {
  readonly url: string
  readonly port: number
  /** The store on disk: for tests that break it. */
  readonly storeDir: string
  /** The secret nkey each party logs in with. */
  readonly seeds: Readonly<Record<Identity, string>>
  /** The secret nkey of an administrator: for tests that break things. */
  readonly adminSeed: string
  /** Resolves when the process is gone. */
  kill(signal?: 'SIGKILL' | 'SIGTERM'): Promise<void>
  /** After `kill`: same port, same store unless it is to be wiped. Resolves when it answers. */
  start(options?: { wipe?: boolean }): Promise<void>
  /** Stops it for a while, as a stalled disk or host does. */
  pause(): void
  resume(): void
}

const READY_TIMEOUT_MS = 20_000
const POLL_MS = 20

let binary: Promise<string> | undefined

/** Found once per test process by the same tool that `npm start` uses. */
function serverBinary(): Promise<string> {
  const tool = fileURLToPath(new URL('../../../tools/nats/find-server.mjs', import.meta.url))
  binary ??= promisify(execFile)(process.execPath, [tool]).then(({ stdout }) => stdout.trim())
  return binary
}

export async function startNatsServer(t: TestContext, options: NatsServerOptions = {}): Promise<NatsServer> {
  const command = await serverBinary()
  const directory = await mkdtemp(join(tmpdir(), 'postbus-nats-'))
  const configFile = join(directory, 'nats.conf')
  const storeDir = join(directory, 'store')
  const portsFileDir = join(directory, 'ports')
  await mkdir(portsFileDir)
  const keys = identities.map((identity) => ({ identity, pair: createUser() }))
  const users = Object.fromEntries(keys.map(({ identity, pair }) => [identity, pair.getPublicKey()]))
  const admin = createUser()
  const decoder = new TextDecoder()
  // One entry per identity by construction.
  const seeds = Object.fromEntries(
    keys.map(({ identity, pair }) => [identity, decoder.decode(pair.getSeed())]),
  ) as Record<Identity, string>

  const configure = (port: number): Promise<void> =>
    writeFile(
      configFile,
      serverConfig({
        host: '127.0.0.1',
        port,
        storeDir,
        users,
        administrators: [admin.getPublicKey()],
        shards: options.shards ?? 1,
        maxFileBytes: options.maxFileBytes ?? 6 * 1024 ** 3,
        portsFileDir,
      }),
    )

  let child: ChildProcess | undefined
  let log = ''

  async function launch(): Promise<void> {
    log = ''
    const started = spawn(command, ['-c', configFile], { stdio: ['ignore', 'ignore', 'pipe'] })
    child = started
    started.stderr.setEncoding('utf8').on('data', (text: string) => {
      log = (log + text).slice(-20_000)
    })
    const deadline = Date.now() + READY_TIMEOUT_MS
    while (!log.includes('Server is ready')) {
      if (started.exitCode !== null || Date.now() > deadline) throw new Error(`nats-server did not start:\n${log}`)
      await delay(POLL_MS)
    }
  }

  async function kill(signal: 'SIGKILL' | 'SIGTERM' = 'SIGKILL'): Promise<void> {
    const running = child
    child = undefined
    if (!running || running.exitCode !== null || running.signalCode !== null) return
    const gone = once(running, 'exit')
    running.kill('SIGCONT')
    running.kill(signal)
    await gone
  }

  t.after(async () => {
    await kill()
    await rm(directory, { recursive: true, force: true, maxRetries: 5 })
  })

  await configure(-1)
  await launch()
  const port = await chosenPort(portsFileDir)
  await configure(port)

  return {
    url: `nats://127.0.0.1:${port}`,
    port,
    storeDir,
    seeds,
    adminSeed: decoder.decode(admin.getSeed()),
    kill,
    async start({ wipe = false } = {}) {
      if (wipe) await rm(storeDir, { recursive: true, force: true })
      await launch()
      await answers(port)
    },
    pause: () => void child?.kill('SIGSTOP'),
    resume: () => void child?.kill('SIGCONT'),
  }
}

async function chosenPort(portsFileDir: string): Promise<number> {
  const deadline = Date.now() + READY_TIMEOUT_MS
  for (;;) {
    for (const name of await readdir(portsFileDir)) {
      const port = /"nats":\s*\[\s*"[^"]*:(\d+)"/.exec(await readFile(join(portsFileDir, name), 'utf8'))?.[1]
      if (port) return Number(port)
    }
    if (Date.now() > deadline) throw new Error('nats-server wrote no ports file')
    await delay(POLL_MS)
  }
}

async function answers(port: number): Promise<void> {
  const deadline = Date.now() + READY_TIMEOUT_MS
  for (;;) {
    const socket = connect(port, '127.0.0.1')
    try {
      await once(socket, 'data')
      return
    } catch (error) {
      if (Date.now() > deadline) throw error
      await delay(POLL_MS)
    } finally {
      socket.destroy()
    }
  }
}
