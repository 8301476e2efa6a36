/**
 * A profile on one machine: which ports, which brokers, which processes run which services, and each service's settings. Pure;
 * everything the start command does follows from this.
 */
import { databasePath, layoutOf } from '@postbus/profile'

import type { Certificates } from './certificates.ts'
import { services, type ProfileName, type Replicas, type ServiceName, type StartOptions } from './options.ts'
import type { Endpoint } from './ports.ts'

/** Well-known ports; the profile listens on them plus the base port. Some have no listener yet. */
const WELL_KNOWN = {
  mx: 25,
  submission: 587,
  submissions: 465,
  imap: 143,
  imaps: 993,
  pop3: 110,
  pop3s: 995,
  console: 80,
  nats: 4222,
} as const
export type PortName = keyof typeof WELL_KNOWN

/** The bus, the stores and the health ports are for this machine only, wherever mail is listened for. */
export const LOOPBACK = '127.0.0.1'
/** By this name clients verify the bus. */
export const LOOPBACK_NAME = 'localhost'

/** Health and metrics ports, by replica and service, so that they stay when another service is scaled. */
const FIRST_HEALTH_PORT = 6000
/** Listeners of the second replicas and further ones. */
const FIRST_REPLICA_PORT = 7000
const FIRST_ROUTE_PORT = 5222
const FIRST_MONITORING_PORT = 8222
const POSTGRES_PORT = 5432
const S3_PORT = 9000

const SERVERS: Record<ProfileName, number> = { embedded: 1, 'scale-out': 3 }
/** MAIL_OUT streams: one machine's one disk gains nothing by several, a cluster spreads their leaders. */
const SHARDS: Record<ProfileName, number> = { embedded: 1, 'scale-out': 2 }

/**
 * Services that share a process unless --processes: those that know where mail is and goes, the one that sends it out, the one that
 * stores it, those that hold sockets.
 */
const SHARED: ServiceName[][] = [
  ['custody', 'directory', 'router'],
  ['delivery'],
  ['mailstore'],
  ['submission', 'inbound', 'imap', 'pop3'],
]

/** What takes mail in stops first, then what moves it, then what stores it; brokers and stores are last. */
const STOP_ORDER: ServiceName[][] = [
  ['submission', 'inbound', 'imap', 'pop3'],
  ['router', 'delivery'],
  ['mailstore'],
  ['directory', 'custody'],
]

/** One running copy of a service. */
export interface Instance {
  service: ServiceName
  /** `router`, `router-2`, … */
  name: string
  healthPort: number
  /** Where this copy listens, by port name. */
  listens: Partial<Record<PortName, number>>
}

export interface Process {
  name: string
  instances: Instance[]
}

/** One nats-server. */
export interface Broker {
  /** `nats`, `nats-2`, … */
  name: string
  port: number
  /** In a cluster. */
  routePort: number
  monitoringPort: number
}

export interface Plan {
  profile: ProfileName
  ports: Record<PortName, number>
  brokers: Broker[]
  /** Copies of each stream. */
  streamReplicas: number
  shards: number
  /** Of servers we start; null where there is none. */
  postgresPort: number | null
  s3Port: number | null
  processes: Process[]
}

const LISTENERS: Partial<Record<ServiceName, PortName[]>> = {
  submission: ['submission', 'submissions'],
  inbound: ['mx'],
  imap: ['imap', 'imaps'],
  pop3: ['pop3', 'pop3s'],
}
const LISTENING = Object.values(LISTENERS).flat()

export type Planned = Pick<StartOptions, 'profile' | 'basePort' | 'processes' | 'replicas' | 'postgres' | 'bytes'>

export function plan({ profile, basePort, processes, replicas, postgres, bytes }: Planned): Plan {
  const ports = Object.fromEntries(Object.entries(WELL_KNOWN).map(([name, port]) => [name, basePort + port])) as Record<
    PortName,
    number
  >
  const scaleOut = profile === 'scale-out'
  const brokers = Array.from({ length: SERVERS[profile] }, (_, index) => ({
    name: nameOf('nats', index),
    port: ports.nats + index,
    routePort: basePort + FIRST_ROUTE_PORT + index,
    monitoringPort: basePort + FIRST_MONITORING_PORT + index,
  }))
  return {
    ...{ profile, ports, brokers, streamReplicas: brokers.length, shards: SHARDS[profile] },
    postgresPort: scaleOut && postgres === null ? basePort + POSTGRES_PORT : null,
    s3Port: scaleOut && bytes === 's3' ? basePort + S3_PORT : null,
    processes: processes ? alone(instances(ports, basePort, replicas)) : shared(instances(ports, basePort, replicas)),
  }
}

const nameOf = (what: string, index: number): string => (index === 0 ? what : `${what}-${index + 1}`)

function instances(
  ports: Record<PortName, number>,
  basePort: number,
  replicas: Replicas,
): (Instance & { index: number })[] {
  return services.flatMap((service, place) =>
    Array.from({ length: replicas[service] }, (_, index) => ({
      ...{ service, index, name: nameOf(service, index) },
      healthPort: basePort + FIRST_HEALTH_PORT + index * services.length + place,
      listens: Object.fromEntries(
        (LISTENERS[service] ?? []).map((name) => [
          name,
          index === 0
            ? ports[name]
            : basePort + FIRST_REPLICA_PORT + (index - 1) * LISTENING.length + LISTENING.indexOf(name),
        ]),
      ),
    })),
  )
}

const alone = (all: readonly Instance[]): Process[] =>
  all.map((instance) => ({ name: instance.name, instances: [instance] }))

/** The first replicas share some processes, the second ones others. */
function shared(all: readonly (Instance & { index: number })[]): Process[] {
  const rounds = Math.max(0, ...all.map(({ index }) => index + 1))
  return Array.from({ length: rounds }, (_, round) => round).flatMap((round) =>
    SHARED.map((group) => ({
      name: nameOf(group.join('+'), round),
      instances: all.filter(({ service, index }) => index === round && group.includes(service)),
    })).filter((process) => process.instances.length > 0),
  )
}

/** Names of processes that may stop together; a process with several services waits for the last of them. */
export function stopWaves({ processes }: Pick<Plan, 'processes'>): string[][] {
  const waveOf = ({ instances }: Process): number =>
    Math.max(...instances.map(({ service }) => STOP_ORDER.findIndex((wave) => wave.includes(service))))
  const waves = STOP_ORDER.map((_, wave) =>
    processes.filter((process) => waveOf(process) === wave).map(({ name }) => name),
  )
  return waves.filter((wave) => wave.length > 0)
}

/** Everything that a plan listens on. */
export function endpoints(
  { profile, brokers, postgresPort, s3Port, processes }: Plan,
  { host, set }: Pick<StartOptions, 'host' | 'set'>,
): Endpoint[] {
  const instances = processes.flatMap((process) => process.instances)
  const own = [
    ...brokers.flatMap(({ port, routePort, monitoringPort }) =>
      profile === 'embedded' ? [port] : [port, routePort, monitoringPort],
    ),
    ...[postgresPort, s3Port].filter((port) => port !== null),
    ...instances.map(({ healthPort }) => Number(set['HEALTH_PORT'] ?? healthPort)),
  ]
  const mail = instances.flatMap(({ listens }) =>
    Object.entries(listens).map(([name, port]) => Number(set[portSetting(name)] ?? port)),
  )
  return [
    ...mail.map((port) => ({ host: set['LISTEN_HOST'] ?? host, port })),
    ...own.map((port) => ({ host: LOOPBACK, port })),
    // What is no port the services refuse themselves.
  ].filter(({ port }) => Number.isInteger(port) && port > 0 && port < 65_536)
}

const portSetting = (name: string): string => (name === 'mx' ? 'INBOUND_PORT' : `${name.toUpperCase()}_PORT`)

/** Where clients of the bus find it. */
export const natsUrl = ({ profile, brokers }: Pick<Plan, 'profile' | 'brokers'>): string =>
  profile === 'embedded'
    ? brokers.map(({ port }) => `nats://${LOOPBACK}:${port}`).join()
    : brokers.map(({ port }) => `tls://${LOOPBACK_NAME}:${port}`).join()

export interface Surroundings {
  data: string
  host: string
  seedFile(party: string): string
  certificates: Certificates
  /** PEM file the bus is verified with, where it speaks TLS. */
  busCa: string | null
  stores: Stores
  /** Our name in greetings and Received fields. */
  hostname: string
  set: Record<string, string>
}

/** Where state is kept. */
export interface Stores {
  database(service: ServiceName): string
  spool: string
  blobs: string
  /** How the stores are reached, beyond their locations. */
  settings: Record<string, string>
}

/** The embedded profile's: files in the data directory. */
export function localStores(data: string): Stores {
  const layout = layoutOf(data)
  return {
    database: (service) => databasePath(layout, service),
    spool: layout.spool,
    blobs: layout.blobs,
    settings: {},
  }
}

/** The environment of one instance. */
export function settings(
  { service, name, healthPort, listens }: Instance,
  { streamReplicas, shards, profile, ...layout }: Pick<Plan, 'streamReplicas' | 'shards' | 'profile' | 'brokers'>,
  around: Surroundings,
): Record<string, string> {
  const { data, host, certificates, stores, busCa } = around
  const spool = { SPOOL: stores.spool }
  const blobs = { BLOBS: stores.blobs }
  const listener = { LISTEN_HOST: host, TLS_CERT_FILE: certificates.cert, TLS_KEY_FILE: certificates.key }
  const own: Record<ServiceName, Record<string, string>> = {
    custody: {
      ...spool,
      MAIL_HOSTNAME: around.hostname,
      CUSTODY_DATABASE: stores.database('custody'),
      CUSTODY_PROVISIONER_NKEY_FILE: around.seedFile('provisioner'),
      CUSTODY_STREAM_REPLICAS: String(streamReplicas),
      // A server of a cluster gets what it cannot open from the others, once its disk is cleared.
      ...(profile === 'embedded' && { CUSTODY_BUS_STORE_DIR: layoutOf(data).nats }),
    },
    directory: { DIRECTORY_DATABASE: stores.database('directory') },
    mailstore: { ...spool, ...blobs, MAILSTORE_DATABASE: stores.database('mailstore') },
    router: {},
    delivery: { ...spool, DELIVERY_DATABASE: stores.database('delivery'), MAIL_HOSTNAME: around.hostname },
    submission: {
      ...spool,
      ...listener,
      MAIL_HOSTNAME: around.hostname,
      SPOOL_WRITER: name,
      SUBMISSION_PORT: String(listens.submission),
      SUBMISSIONS_PORT: String(listens.submissions),
    },
    inbound: {
      ...spool,
      ...listener,
      MAIL_HOSTNAME: around.hostname,
      SPOOL_WRITER: name,
      INBOUND_PORT: String(listens.mx),
    },
    imap: { ...blobs, ...listener, IMAP_PORT: String(listens.imap), IMAPS_PORT: String(listens.imaps) },
    pop3: { ...blobs, ...listener, POP3_PORT: String(listens.pop3), POP3S_PORT: String(listens.pop3s) },
  }
  return {
    NATS_URL: natsUrl({ profile, ...layout }),
    ...(busCa !== null && { NATS_CA_FILE: busCa }),
    NATS_NKEY_FILE: around.seedFile(service),
    MAIL_OUT_SHARDS: String(shards),
    HEALTH_HOST: LOOPBACK,
    HEALTH_PORT: String(healthPort),
    ...stores.settings,
    ...own[service],
    ...around.set,
  }
}
