/**
 * The embedded profile: which ports, which processes run which services, and each service's settings. Pure; everything
 * the start command does follows from this.
 */
import { databasePath, layoutOf } from '@postbus/profile'

import type { Certificates } from './certificates.ts'
import { services, type ServiceName, type StartOptions } from './options.ts'

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

/** The bus and the health ports are for this machine only, wherever mail is listened for. */
export const LOOPBACK = '127.0.0.1'

/** Health and metrics ports follow from here, one per service instance; further replicas' listeners from the second. */
const FIRST_HEALTH_PORT = 6000
const FIRST_REPLICA_PORT = 6200

/** Services that share a process unless --processes: those that hold sockets, those that move mail, the one that stores it. */
const SHARED: ServiceName[][] = [
  ['custody', 'directory', 'router', 'delivery'],
  ['mailstore'],
  ['submission', 'inbound', 'imap', 'pop3'],
]

/** What takes mail in stops first, then what moves it, then what stores it; the broker is last. */
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

export interface Plan {
  ports: Record<PortName, number>
  processes: Process[]
}

const LISTENERS: Partial<Record<ServiceName, PortName[]>> = {
  submission: ['submission', 'submissions'],
  inbound: ['mx'],
  imap: ['imap', 'imaps'],
  pop3: ['pop3', 'pop3s'],
}

export function plan(options: Pick<StartOptions, 'basePort' | 'processes' | 'replicas'>): Plan {
  const { basePort } = options
  const ports = Object.fromEntries(Object.entries(WELL_KNOWN).map(([name, port]) => [name, basePort + port])) as Record<
    PortName,
    number
  >

  let health = basePort + FIRST_HEALTH_PORT
  let further = basePort + FIRST_REPLICA_PORT
  const instances = services.flatMap((service) =>
    Array.from({ length: options.replicas[service] }, (_, index): Instance => {
      const listens = (LISTENERS[service] ?? []).map((name) => [name, index === 0 ? ports[name] : further++])
      const name = index === 0 ? service : `${service}-${index + 1}`
      return { service, name, healthPort: health++, listens: Object.fromEntries(listens) }
    }),
  )
  const shared = SHARED.map((group) => ({
    name: group.join('+'),
    instances: instances.filter(({ service }) => group.includes(service)),
  }))
  const alone = instances.map((instance) => ({ name: instance.name, instances: [instance] }))
  return { ports, processes: options.processes ? alone : shared }
}

/** Names of processes that may stop together; a process with several services waits for the last of them. */
export function stopWaves({ processes }: Plan): string[][] {
  const waveOf = ({ instances }: Process): number =>
    Math.max(...instances.map(({ service }) => STOP_ORDER.findIndex((wave) => wave.includes(service))))
  const waves = [
    ...STOP_ORDER.map((_, wave) => processes.filter((process) => waveOf(process) === wave).map(({ name }) => name)),
    ['nats'],
  ]
  return waves.filter((wave) => wave.length > 0)
}

export interface Surroundings {
  data: string
  host: string
  natsUrl: string
  seedFile(party: string): string
  certificates: Certificates
  /** Our name in greetings and Received fields. */
  hostname: string
  set: Record<string, string>
}

/** The environment of one instance. */
export function settings(
  { service, name, healthPort, listens }: Instance,
  around: Surroundings,
): Record<string, string> {
  const { data, host, certificates } = around
  const layout = layoutOf(data)
  const spool = { SPOOL: layout.spool }
  const blobs = { BLOBS: layout.blobs }
  const listener = { LISTEN_HOST: host, TLS_CERT_FILE: certificates.cert, TLS_KEY_FILE: certificates.key }
  const database = (name: string): string => databasePath(layout, name)
  const own: Record<ServiceName, Record<string, string>> = {
    custody: {
      ...spool,
      MAIL_HOSTNAME: around.hostname,
      CUSTODY_DATABASE: database('custody'),
      CUSTODY_PROVISIONER_NKEY_FILE: around.seedFile('provisioner'),
      CUSTODY_BUS_STORE_DIR: layout.nats,
    },
    directory: { DIRECTORY_DATABASE: database('directory') },
    mailstore: { ...spool, ...blobs, MAILSTORE_DATABASE: database('mailstore') },
    router: {},
    delivery: { ...spool, DELIVERY_DATABASE: database('delivery'), MAIL_HOSTNAME: around.hostname },
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
    NATS_URL: around.natsUrl,
    NATS_NKEY_FILE: around.seedFile(service),
    HEALTH_HOST: LOOPBACK,
    HEALTH_PORT: String(healthPort),
    ...own[service],
    ...around.set,
  }
}
