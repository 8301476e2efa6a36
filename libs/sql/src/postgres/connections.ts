/**
 * A bounded pool of connections to one server. While it cannot be reached, whoever needs a connection waits, a bounded time, and tries again
 * in growing pauses; a connection that dies while nobody uses it is noticed and forgotten.
 */
import { setTimeout as sleep } from 'node:timers/promises'

import { Pool, type PoolClient, type PoolConfig } from 'pg'
import { parse, toClientConfig } from 'pg-connection-string'

import { StorageBusy } from '../errors.ts'
import { postgresError } from './errors.ts'
import { columnTypes } from './values.ts'

export interface ConnectionsOptions {
  /** Of the database, for messages. */
  name: string
  schema: string
  /** How many at most. */
  max: number
  /** How long somebody waits for one before StorageBusy. */
  busyTimeoutMs: number
  /** Time for one try to connect. */
  connectTimeoutMs: number
  statementTimeoutMs: number
  /** Told when the first one has to wait for the server, and when none does any more. */
  waiting(error: Error): void
  recovered(): void
}

const MIN_PAUSE_MS = 50
const MAX_PAUSE_MS = 1000
/** Who waits for a connection holds its work in memory. */
const MAX_WAITING = 20_000
const IDLE_MS = 60_000
/** What a connection has prepared costs the server memory; and after a move of the server load spreads again. */
const LIFETIME_S = 3600
/** A client that vanished must not hold its locks: the server finds out after some 20 s. */
const PROBES = 'tcp_keepalives_idle=10 tcp_keepalives_interval=5 tcp_keepalives_count=2 tcp_user_timeout=20000'
/** Nothing is idle so long between two statements of one transaction, except by a fault of ours. */
const IDLE_IN_TRANSACTION_MS = 120_000

export class Connections {
  readonly #pool: Pool
  readonly #options: ConnectionsOptions
  #waiting = 0
  #isTroubled = false

  constructor(url: string, options: ConnectionsOptions) {
    this.#options = options
    this.#pool = new Pool(poolConfig(url, options))
    // Without listeners a server that restarts would end this process. What was under way fails by itself.
    this.#pool.on('error', () => {})
    this.#pool.on('connect', (client) => void client.on('error', () => {}))
  }

  /** @throws StorageBusy when there was none in time, StorageFailed when the server will not have us. */
  async take(): Promise<PoolClient> {
    if (this.#waiting >= MAX_WAITING) throw new StorageBusy(`${this.#options.name}: ${MAX_WAITING} wait already`)
    const deadline = performance.now() + this.#options.busyTimeoutMs
    this.#waiting++
    try {
      for (let pauseMs = MIN_PAUSE_MS; ; pauseMs = Math.min(2 * pauseMs, MAX_PAUSE_MS)) {
        try {
          const client = await this.#pool.connect()
          this.#found()
          return client
        } catch (error) {
          const failure = postgresError(error, this.#options.name)
          if (failure instanceof StorageBusy) this.#missed(failure)
          if (!(failure instanceof StorageBusy) || performance.now() + pauseMs > deadline) throw failure
        }
        await sleep(pauseMs * (0.5 + Math.random() / 2))
      }
    } finally {
      this.#waiting--
    }
  }

  close(): Promise<void> {
    return this.#pool.end()
  }

  #missed(error: Error): void {
    if (this.#isTroubled) return
    this.#isTroubled = true
    this.#options.waiting(error)
  }

  #found(): void {
    if (!this.#isTroubled) return
    this.#isTroubled = false
    this.#options.recovered()
  }
}

/** Where it is, without the password. */
export function placeOf(url: string): string {
  const { host, port, database } = parse(url, { useLibpqCompat: true })
  return `postgres://${host ?? 'localhost'}:${port || '5432'}/${database ?? ''}`
}

function poolConfig(url: string, options: ConnectionsOptions): PoolConfig {
  const { schema, max, connectTimeoutMs, statementTimeoutMs, busyTimeoutMs } = options
  // sslmode means what it means to psql. What the URL's own options say stands behind ours, and therefore wins.
  const config = toClientConfig(parse(url, { useLibpqCompat: true }))
  const settings = [
    `search_path=${schema}`,
    // A Database reads; only `transaction` says `read write`.
    'default_transaction_read_only=on',
    // Durable when it resolves: on the disk, and on the standbys that have to confirm.
    'synchronous_commit=on',
    ...PROBES.split(' '),
  ]
  return {
    application_name: `postbus-${schema}`,
    ...config,
    options: [...settings.map((setting) => `-c ${setting}`), config.options ?? ''].join(' ').trim(),
    max,
    connectionTimeoutMillis: connectTimeoutMs,
    statement_timeout: statementTimeoutMs,
    lock_timeout: busyTimeoutMs,
    idle_in_transaction_session_timeout: IDLE_IN_TRANSACTION_MS,
    idleTimeoutMillis: IDLE_MS,
    maxLifetimeSeconds: LIFETIME_S,
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
    pipeline: true,
    types: columnTypes,
  }
}
