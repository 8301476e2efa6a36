/** The embedded profile's nats-server: found or fetched, configured from the contracts, watched like every other process. */
import { statfs, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { serverConfig, type Identity } from '@postbus/contracts'

import { findNatsServer } from '../nats/find-server.mjs'
import { watchBrokerDisk } from './broker-disk.ts'
import type { Key } from './keys.ts'
import { supervise, type Supervised, type SupervisorEvents } from './supervisor.ts'

const GIB = 1024 ** 3
/** What the bus may fill of the free disk; the spool and the mailboxes need the rest. */
const SHARE_OF_FREE_DISK = 0.25
/** The streams' own limits are set aside at creation; less than this could not hold them. */
const LEAST_BYTES = 6 * GIB
const MOST_BYTES = 64 * GIB
const STOP_MS = 20_000
/** Garbage it lets gather, in percent of what it needs; Go's own is 100. A long queue is memory there, and the laptop has other uses for it. */
const GARBAGE_PERCENT = '70'

/**
 * The server must not outlive us and cannot notice our end by itself, so a shell holds our pipe for it: its end stops the
 * server. Killed alone, the server ends the shell and is started again like everybody.
 */
const GUARDED = 'exec 3<&0; "$@" & server=$!; (read -r _ <&3; kill "$server" 2>/dev/null) & wait "$server"'

export interface BrokerOptions {
  host: string
  port: number
  data: string
  keys: Record<Identity, Key>
  shards: number
  /** What everything on the bus may occupy (octets). Null: a share of the free disk. */
  maxBytes: number | null
  administrators: readonly string[]
  events: SupervisorEvents
}

export async function startBroker({
  host,
  port,
  data,
  keys,
  shards,
  maxBytes,
  administrators,
  events,
}: BrokerOptions): Promise<Supervised> {
  const { bavail, bsize } = await statfs(data)
  const config = join(data, 'run', 'nats.conf')
  const pidFile = join(data, 'run', 'nats.pid')
  await writeFile(
    config,
    serverConfig({
      host,
      port,
      storeDir: join(data, 'nats'),
      users: Object.fromEntries(Object.entries(keys).map(([identity, { publicKey }]) => [identity, publicKey])),
      ...{ shards, administrators },
      maxFileBytes:
        maxBytes ?? Math.round(Math.min(Math.max(bavail * bsize * SHARE_OF_FREE_DISK, LEAST_BYTES), MOST_BYTES)),
      pidFile,
    }),
    { mode: 0o600 },
  )
  const logFile = join(data, 'logs', 'nats.log')
  const server = supervise(
    {
      name: 'nats',
      command: '/bin/sh',
      args: [
        '-c',
        GUARDED,
        'sh',
        await findNatsServer({ log: (line) => process.stderr.write(`${line}\n`) }),
        '--config',
        config,
      ],
      env: { GOGC: process.env['GOGC'] ?? GARBAGE_PERCENT },
      logFile,
      lifeline: 'stdin',
      pidFile,
      stopMs: STOP_MS,
    },
    events,
  )
  const watching = watchBrokerDisk({
    logFile,
    storeDir: join(data, 'nats'),
    end() {
      process.stderr.write(`nats could not write while its disk was full, and is started anew; see ${logFile}\n`)
      if (server.pid !== null) process.kill(server.pid, 'SIGTERM')
    },
  })
  return {
    name: server.name,
    get pid() {
      return server.pid
    },
    stop() {
      watching.stop()
      return server.stop()
    },
  }
}
