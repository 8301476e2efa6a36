/**
 * A real nats-server for one test: loopback, a free port, a store of its own, the platform's permissions.
 * It can be killed and started again on the same port and store, as operators and power cuts do.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'

import { serverConfig, type Identity } from '@postbus/contracts'

import { freePort } from './free-port.ts'
import { answers, natsKeys, NatsProcess } from './nats-process.ts'

export interface NatsServerOptions {
  /** Shards of MAIL_OUT the permissions are made for. Default 1. */
  shards?: number
  /** Bound of everything on disk; publishers are refused beyond. Default 6 GiB. */
  maxFileBytes?: number
  /** Acknowledgements by the second form of their subject — ADR-15. */
  ackSubjectsV2?: boolean
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
  /** Done at the end of the test while the server still answers, the last one first: who loses it before he closes waits for it in vain. */
  defer(close: () => Promise<unknown> | unknown): void
  /** Resolves when the process is gone. */
  kill(signal?: 'SIGKILL' | 'SIGTERM'): Promise<void>
  /** After `kill`: same port, same store unless it is to be wiped. Resolves when it answers. */
  start(options?: { wipe?: boolean }): Promise<void>
  /** Stops it for a while, as a stalled disk or host does. */
  pause(): void
  resume(): void
}

export async function startNatsServer(t: TestContext, options: NatsServerOptions = {}): Promise<NatsServer> {
  const directory = await mkdtemp(join(tmpdir(), 'postbus-nats-'))
  const configFile = join(directory, 'nats.conf')
  const storeDir = join(directory, 'store')
  const { users, administrators, seeds, adminSeed } = natsKeys()
  const port = await freePort()
  await writeFile(
    configFile,
    serverConfig({
      ...{ host: '127.0.0.1', port, storeDir, users, administrators },
      shards: options.shards ?? 1,
      maxFileBytes: options.maxFileBytes ?? 6 * 1024 ** 3,
      ackSubjectsV2: options.ackSubjectsV2 ?? false,
    }),
  )

  const server = new NatsProcess(configFile)
  const closes: (() => Promise<unknown> | unknown)[] = []
  t.after(async () => {
    for (const close of closes.reverse()) await close()
    await server.kill()
    await rm(directory, { recursive: true, force: true, maxRetries: 5 })
  })

  await server.launch()

  return {
    ...{ url: `nats://127.0.0.1:${port}`, port, storeDir, seeds, adminSeed },
    defer: (close) => void closes.push(close),
    kill: (signal) => server.kill(signal),
    async start({ wipe = false } = {}) {
      if (wipe) await rm(storeDir, { recursive: true, force: true })
      await server.launch()
      await answers(port)
    },
    pause: () => server.pause(),
    resume: () => server.resume(),
  }
}
