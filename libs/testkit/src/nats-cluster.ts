/**
 * A real cluster of nats-servers for one test, as scale-out runs it: routes and clients over TLS, every write flushed before it is
 * confirmed, the platform's permissions. Each server can be killed, and come back with its disk or with an empty one.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'

import { serverConfig, type Identity } from '@postbus/contracts'

import { testCertificate } from './certificate.ts'
import { freePort } from './free-port.ts'
import { answers, natsKeys, NatsProcess } from './nats-process.ts'
import type { NatsServer } from './nats-server.ts'

export interface NatsClusterOptions {
  shards?: number
}

export type NatsMember = Pick<NatsServer, 'url' | 'kill' | 'start' | 'pause' | 'resume'> & { readonly name: string }

export interface NatsCluster {
  /** Of all servers, `tls://…`. */
  readonly urls: readonly string[]
  /** PEM file clients verify the servers with. */
  readonly caFile: string
  readonly members: readonly NatsMember[]
  readonly seeds: Readonly<Record<Identity, string>>
  readonly adminSeed: string
  /** Done at the end of the test while the servers still answer, the last one first. */
  defer(close: () => Promise<unknown> | unknown): void
}

const SERVERS = ['nats-1', 'nats-2', 'nats-3']
const HOST = '127.0.0.1'
/** What the certificate names. The client does not verify a server by its address. */
const NAME = 'localhost'

export async function startNatsCluster(t: TestContext, { shards = 1 }: NatsClusterOptions = {}): Promise<NatsCluster> {
  const directory = await mkdtemp(join(tmpdir(), 'postbus-nats-cluster-'))
  const { certFile, keyFile } = await testCertificate(t, { name: NAME })
  const tls = { certFile, keyFile, caFile: certFile }
  const { users, administrators, seeds, adminSeed } = natsKeys()
  const [ports, routePorts] = [await freePorts(), await freePorts()]
  const routes = routePorts.map((port) => `tls://${NAME}:${port}`)

  const servers = await Promise.all(
    ports.map(async (port, index) => {
      const name = SERVERS[index] ?? ''
      const configFile = join(directory, `${name}.conf`)
      const storeDir = join(directory, name)
      await writeFile(
        configFile,
        serverConfig({
          ...{ host: HOST, port, storeDir, users, administrators, shards, tls, syncAlways: true },
          maxFileBytes: 6 * 1024 ** 3,
          cluster: { serverName: name, name: 'postbus-test', host: HOST, port: routePorts[index] ?? 0, routes, tls },
        }),
      )
      return { name, port, storeDir, process: new NatsProcess(configFile) }
    }),
  )
  const closes: (() => Promise<unknown> | unknown)[] = []
  t.after(async () => {
    for (const close of closes.reverse()) await close()
    await Promise.all(servers.map(({ process }) => process.kill()))
    await rm(directory, { recursive: true, force: true, maxRetries: 5 })
  })
  await Promise.all(servers.map(({ process }) => process.launch()))

  return {
    defer: (close) => void closes.push(close),
    ...{ seeds, adminSeed, caFile: tls.caFile, urls: ports.map((port) => `tls://${NAME}:${port}`) },
    members: servers.map(({ name, port, storeDir, process }) => ({
      ...{ name, url: `tls://${NAME}:${port}` },
      kill: (signal) => process.kill(signal),
      async start({ wipe = false } = {}) {
        if (wipe) await rm(storeDir, { recursive: true, force: true })
        await process.launch()
        await answers(port)
      },
      pause: () => process.pause(),
      resume: () => process.resume(),
    })),
  }
}

const freePorts = (): Promise<number[]> => Promise.all(SERVERS.map(() => freePort()))
