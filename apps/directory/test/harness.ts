/** The whole directory on a real bus, with a database of its own. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'

import { connectBus, type ConnectedBus } from '@postbus/bus'
import type { Party } from '@postbus/contracts'
import { type NatsServer, startNatsServer } from '@postbus/testkit'
import { pino } from 'pino'
import { Registry } from '@postbus/metrics'

import { DirectoryConfig } from '../src/config.ts'
import { directoryService } from '../src/service.ts'

export interface Line {
  msg: string
  [field: string]: unknown
}

export interface Platform {
  bus(party: Party): Promise<ConnectedBus>
  /** Another process's worth of directory on the same file. @returns its log and metrics */
  directory(settings?: Record<string, string>): Promise<{ lines: Line[]; metrics: Registry }>
}

/** argon2id so cheap that a test can afford many logins. */
const CHEAP = { DIRECTORY_HASH_MEMORY_KIB: '64', DIRECTORY_HASH_PASSES: '1', DIRECTORY_SCRAM_ITERATIONS: '4096' }

export async function platform(t: TestContext): Promise<Platform> {
  const nats: NatsServer = await startNatsServer(t)
  const data = mkdtempSync(join(tmpdir(), 'postbus-directory-'))
  const closes: (() => Promise<void> | void)[] = [() => rmSync(data, { recursive: true, force: true })]
  nats.defer(async () => {
    for (const close of closes.reverse()) await close()
  })
  const silent = pino({ level: 'silent' })

  async function bus(party: Party): Promise<ConnectedBus> {
    const connected = await connectBus({ servers: nats.url, nkeySeed: nats.seeds[party], party, log: silent })
    closes.push(() => connected.close())
    return connected
  }

  return {
    bus,
    async directory(settings = {}) {
      const config = DirectoryConfig.parse({
        DIRECTORY_DATABASE: join(data, 'directory.sqlite'),
        ...CHEAP,
        ...settings,
      })
      const lines: Line[] = []
      const log = pino({ level: 'info' }, { write: (line: string) => void lines.push(JSON.parse(line)) })
      const metrics = new Registry()
      const connected = await connectBus({ servers: nats.url, nkeySeed: nats.seeds.directory, party: 'directory', log })
      closes.push(() => connected.close())
      await directoryService.start({
        ...{ config, log, metrics, bus: connected, signal: new AbortController().signal },
        defer: (close) => void closes.push(close),
        readiness: () => {},
        probe: () => {},
        tracer: null,
      })
      return { lines, metrics }
    },
  }
}
