/**
 * The configuration of a nats-server for the platform: one account, one nkey user per party with exactly its permissions.
 *
 * JSON is a subset of the server's configuration language, and quoted strings are never taken for variables there, so
 * `$JS` in a subject is safe.
 */
import { allPermissions, type Identity } from './permissions.ts'

export interface ServerConfigOptions {
  host: string
  port: number
  storeDir: string
  /** Public nkeys. A party without one cannot log in; two keys of one party allow an exchange without a gap. */
  users: Partial<Record<Identity, string | readonly string[]>>
  /** Public nkeys of people who may do everything in the account, with the `nats` tool. None by default. */
  administrators?: readonly string[]
  shards: number
  /**
   * Everything the mail streams may occupy on disk. At this bound publishers are refused and SMTP answers 452. It must exceed
   * the sum of the streams' own limits, which the server sets aside when they are created.
   */
  maxFileBytes: number
  maxMemoryBytes?: number
  /** Where others may read metrics; unauthenticated, so loopback or a guarded network only. */
  monitoring?: { host: string; port: number }
  /** Fsync before every confirmation: for a replicated cluster. The embedded profile keeps the server's default; the spool is durable. */
  syncAlways?: boolean
  /** The server writes the ports it chose here; with port -1 the only way to learn them. */
  portsFileDir?: string
  pidFile?: string
  logFile?: string
}

/** The account everything of ours lives in. */
export const ACCOUNT = 'MAIL'

const MIB = 1024 ** 2
const MAX_PAYLOAD_BYTES = MIB
const DEFAULT_MAX_MEMORY_BYTES = 64 * MIB

export function serverConfig(options: ServerConfigOptions): string {
  const { host, port, storeDir, users, administrators = [], shards, maxFileBytes, monitoring, syncAlways } = options
  const maxMemoryBytes = options.maxMemoryBytes ?? DEFAULT_MAX_MEMORY_BYTES
  const accounts = [...allPermissions({ shards })].flatMap(([identity, { publish, subscribe, allowResponses }]) =>
    [users[identity] ?? []].flat().map((nkey) => ({
      nkey,
      permissions: {
        publish: { allow: publish },
        subscribe: { allow: subscribe },
        ...(allowResponses && { allow_responses: allowResponses }),
      },
    })),
  )
  const config = {
    host,
    port,
    max_payload: MAX_PAYLOAD_BYTES,
    ...(options.portsFileDir && { ports_file_dir: options.portsFileDir }),
    ...(options.pidFile && { pid_file: options.pidFile }),
    ...(options.logFile && { log_file: options.logFile }),
    ...(monitoring && { http: `${monitoring.host}:${monitoring.port}` }),
    jetstream: {
      store_dir: storeDir,
      max_file_store: maxFileBytes,
      max_memory_store: maxMemoryBytes,
      ...(syncAlways && { sync_interval: 'always' }),
    },
    system_account: 'SYS',
    accounts: {
      SYS: {},
      [ACCOUNT]: {
        jetstream: { max_file: maxFileBytes, max_mem: maxMemoryBytes },
        users: [...accounts, ...administrators.map((nkey) => ({ nkey }))],
      },
    },
  }
  return `${JSON.stringify(config, null, 2)}\n`
}
