/**
 * The configuration of a nats-server for the platform: one account, one nkey user per party with exactly its permissions. Alone, or
 * one of a cluster, whose servers all have the same accounts and let nobody in without TLS.
 *
 * JSON is a subset of the server's configuration language, and quoted strings are never taken for variables there, so
 * `$JS` in a subject is safe.
 */
import { allPermissions, type Identity } from './permissions.ts'

/** PEM files. */
export interface ServerTls {
  certFile: string
  keyFile: string
}

/** Servers verify each other with the authority's certificate. It signs theirs and nobody else's: whoever has one may join them. */
export interface RouteTls extends ServerTls {
  caFile: string
}

/** What makes a server one of several. */
export interface ClusterMember {
  /** Of this server: never given to another, and kept when its disk is replaced. */
  serverName: string
  /** Of the cluster, the same on all. */
  name: string
  host: string
  port: number
  /** Every server of the cluster, this one too: `tls://host:port`. */
  routes: readonly string[]
  tls: RouteTls
}

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
   * Everything the mail streams may occupy on the disk of one server. At this bound publishers are refused and SMTP answers 452. It
   * must exceed the sum of the streams' own limits, which the server sets aside when they are created.
   */
  maxFileBytes: number
  maxMemoryBytes?: number
  /** Clients speak TLS, and nothing else. */
  tls?: ServerTls
  cluster?: ClusterMember
  /** Where others may read metrics; unauthenticated, so loopback or a guarded network only. */
  monitoring?: { host: string; port: number }
  /** Fsync before every confirmation: for a replicated cluster. The embedded profile keeps the server's default; the spool is durable. */
  syncAlways?: boolean
  /** Acknowledgements by the second form of their subject (ADR-15); a server of today uses the first unless told. */
  ackSubjectsV2?: boolean
  pidFile?: string
  logFile?: string
}

/** The account everything of ours lives in. */
export const ACCOUNT = 'MAIL'

const MIB = 1024 ** 2
const MAX_PAYLOAD_BYTES = MIB
const DEFAULT_MAX_MEMORY_BYTES = 64 * MIB
/**
 * A client whose machine is gone without a word is asked after, and dropped after so many questions without an answer: until then a share of
 * all requests goes to it, and nobody answers those.
 */
const PING = { ping_interval: '5s', ping_max: 2 }
/**
 * Of a server in a cluster, beyond its part of the account: what copies are ahead of each other. The account's bound must come first:
 * it refuses publishers, while a server at its own takes itself out of JetStream.
 */
const SERVER_SLACK = 1.25

export function serverConfig(options: ServerConfigOptions): string {
  const { host, port, storeDir, users, administrators = [], shards, maxFileBytes, monitoring, cluster, tls } = options
  const maxMemoryBytes = options.maxMemoryBytes ?? DEFAULT_MAX_MEMORY_BYTES
  // An account's use is counted over all copies.
  const servers = cluster?.routes.length ?? 1
  const slack = cluster ? SERVER_SLACK : 1
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
    ...PING,
    ...(tls && { tls: clientTls(tls) }),
    ...(cluster && { server_name: cluster.serverName, cluster: clusterConfig(cluster) }),
    ...(options.pidFile && { pid_file: options.pidFile }),
    ...(options.logFile && { log_file: options.logFile }),
    ...(monitoring && { http: `${monitoring.host}:${monitoring.port}` }),
    jetstream: {
      store_dir: storeDir,
      max_file_store: Math.round(maxFileBytes * slack),
      max_memory_store: Math.round(maxMemoryBytes * slack),
      ...(options.syncAlways && { sync_interval: 'always' }),
    },
    ...(options.ackSubjectsV2 && { feature_flags: { js_ack_fc_v2: true } }),
    system_account: 'SYS',
    accounts: {
      SYS: {},
      [ACCOUNT]: {
        jetstream: { max_file: maxFileBytes * servers, max_mem: maxMemoryBytes * servers },
        users: [...accounts, ...administrators.map((nkey) => ({ nkey }))],
      },
    },
  }
  return `${JSON.stringify(config, null, 2)}\n`
}

/** Who a client is, its nkey says; a certificate of its own would say nothing more. */
const clientTls = ({ certFile, keyFile }: ServerTls): object => ({ cert_file: certFile, key_file: keyFile })

/** Servers show each other their certificates, both ways: a route may do everything. */
const clusterConfig = ({ name, host, port, routes, tls }: ClusterMember): object => ({
  ...{ name, host, port, routes },
  // Clients know all servers by their settings; what servers tell them would be addresses, which no certificate need name.
  no_advertise: true,
  tls: { cert_file: tls.certFile, key_file: tls.keyFile, ca_file: tls.caFile, verify: true },
})
