/** The start command's arguments. */
import { resolve } from 'node:path'
import { parseArgs } from 'node:util'

import settingNames from './setting-names.json' with { type: 'json' }

/** Every service of a profile, in the order shown; the three that other processes lean on start first. */
export const services = [
  'custody',
  'directory',
  'mailstore',
  'router',
  'delivery',
  'submission',
  'inbound',
  'imap',
  'pop3',
] as const
export type ServiceName = (typeof services)[number]

/** How many there are of each service. */
export type Replicas = Record<ServiceName, number>

const profiles = ['embedded', 'scale-out'] as const
export type ProfileName = (typeof profiles)[number]

/** Where scale-out keeps bytes: an S3 server of its own or somebody else's, PostgreSQL, or files that all processes of the machine share. */
export type BytesHome = (typeof bytesHomes)[number] | { bucket: string }
const bytesHomes = ['s3', 'postgres', 'files'] as const

export interface StartOptions {
  profile: ProfileName
  data: string
  basePort: number
  host: string
  readyFile: string | null
  /** A domain and accounts to try things with, unless they were made before. */
  demo: boolean
  /** One process per service instead of a few shared ones. */
  processes: boolean
  replicas: Replicas
  /** Settings for all services, over the defaults of the profile. */
  set: Record<string, string>
  /** What the bus may keep on disk (octets), each server of it. Null: a share of the free disk. */
  busBytes: number | null
  /** Public nkeys of people who may do everything on the bus, with tools of their own. */
  busAdministrators: string[]
  /** Of scale-out: somebody else's PostgreSQL. Null: one of its own, of Debian's programs. */
  postgres: string | null
  bytes: BytesHome
}

export interface ScaleOptions {
  data: string
  replicas: Partial<Replicas>
}

export type Command =
  | { kind: 'help' }
  | { kind: 'start'; options: StartOptions }
  /** So many of some services, in a platform that runs. */
  | { kind: 'scale'; options: ScaleOptions }

export const usage = `usage: npm start -- [option …]
       npm start -- scale SERVICE=N … [--data DIR]    so many replicas, in a platform started with --processes

  --profile NAME          embedded (default): one nats-server, SQLite, files; or scale-out: three of them, with TLS, PostgreSQL,
                          an S3 server, and two replicas of every service
  --data DIR              where everything is kept (default ./data)
  --base-port N           ports are N + the well-known one (default 2000: IMAPS on 2993)
  --host ADDRESS          listen for mail here (default 127.0.0.1); the bus, stores and metrics stay on loopback
  --processes             one process per service
  --replicas S=N,…        so many of a service, e.g. router=2,mailstore=2; implies --processes
  --set NAME=VALUE        a setting for every service that knows it; may be repeated
  --bus-bytes N           what the bus may keep on disk, instead of a share of what is free; its streams' limits must fit
  --bus-admin NKEY        the public nkey of somebody who may do everything on the bus; may be repeated
  --postgres URL          scale-out: use this database instead of starting a server
  --bytes HOME            scale-out: s3 (default: starts a server), s3://bucket[/prefix] (S3_ENDPOINT and its keys by --set),
                          postgres, which needs no S3 server, or files, which all processes of this machine share
  --without-demo          no demo domain and accounts, for a platform that is to be used
  --ready-file FILE       written as JSON when everything answers, and again when a process was replaced
  --help
`

const MOST_REPLICAS = 20

export class UsageError extends Error {
  override readonly name = 'UsageError'
}

/** @throws UsageError naming the argument and what is allowed */
export function parseCommand(args: string[], root: string): Command {
  const { values, positionals } = parse(args)
  if (values.help) return { kind: 'help' }
  const data = resolve(values.data ?? resolve(root, 'data'))
  const [verb, ...pairs] = positionals
  if (verb === 'scale') {
    if (pairs.length === 0) throw new UsageError('scale SERVICE=N: say how many of what')
    return { kind: 'scale', options: { data, replicas: parseReplicas(pairs, 'scale') } }
  }
  if (verb !== undefined) throw new UsageError(`no command ${verb}; there is scale`)
  return { kind: 'start', options: { data, ...startOptions(values) } }
}

function startOptions(values: ReturnType<typeof parse>['values']): Omit<StartOptions, 'data'> {
  const profile = profiles.find((name) => name === (values.profile ?? 'embedded'))
  if (profile === undefined) throw new UsageError(`--profile is ${profiles.join(' or ')}, not ${values.profile}`)
  const given = parseReplicas(values.replicas?.split(',') ?? [], '--replicas')
  const each = profile === 'embedded' ? 1 : 2
  if (profile === 'embedded' && (values.postgres ?? values.bytes) !== undefined) {
    throw new UsageError('--postgres and --bytes are of --profile scale-out')
  }
  return {
    profile,
    basePort: parseBasePort(values['base-port'] ?? '2000'),
    host: values.host ?? '127.0.0.1',
    demo: values['without-demo'] !== true,
    readyFile: values['ready-file'] === undefined ? null : resolve(values['ready-file']),
    processes: values.processes === true || Object.values(given).some((count) => count !== each),
    replicas: { ...replicasOf(each), ...given },
    set: parseSettings(values.set ?? []),
    busAdministrators: (values['bus-admin'] ?? []).map(parseNkey),
    busBytes: values['bus-bytes'] === undefined ? null : parseBytes(values['bus-bytes']),
    postgres: values.postgres === undefined ? null : parsePostgres(values.postgres),
    bytes: parseBytesHome(values.bytes ?? 's3'),
  }
}

function parse(args: string[]) {
  try {
    return parseArgs({
      args,
      allowPositionals: true,
      options: {
        profile: { type: 'string' },
        data: { type: 'string' },
        'base-port': { type: 'string' },
        host: { type: 'string' },
        processes: { type: 'boolean' },
        replicas: { type: 'string' },
        set: { type: 'string', multiple: true },
        'bus-bytes': { type: 'string' },
        'bus-admin': { type: 'string', multiple: true },
        postgres: { type: 'string' },
        bytes: { type: 'string' },
        'without-demo': { type: 'boolean' },
        'ready-file': { type: 'string' },
        help: { type: 'boolean', short: 'h' },
      },
    })
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error))
  }
}

function parseBasePort(text: string): number {
  const port = Number(text)
  if (!Number.isInteger(port) || port < 1 || port > 55_000) {
    throw new UsageError(`--base-port is a whole number from 1 to 55000, not ${text}`)
  }
  return port
}

function parseBytes(text: string): number {
  if (!/^[1-9]\d{0,14}$/.test(text)) throw new UsageError(`--bus-bytes is a number of octets, not ${text}`)
  return Number(text)
}

/** An nkey of a user: the letter U and 55 of base32. */
function parseNkey(text: string): string {
  if (!/^U[A-Z2-7]{55}$/.test(text)) throw new UsageError(`--bus-admin is the public nkey of a user, not ${text}`)
  return text
}

function parsePostgres(text: string): string {
  if (!/^postgres(ql)?:\/\/./.test(text)) {
    throw new UsageError('--postgres is postgres://user:password@host:port/database')
  }
  return text
}

function parseBytesHome(text: string): BytesHome {
  const known = bytesHomes.find((home) => home === text)
  if (known !== undefined) return known
  if (!/^s3:\/\/[^/]+(\/[^/]+)*$/.test(text)) {
    throw new UsageError(`--bytes is ${bytesHomes.join(', ')} or s3://bucket/prefix, not ${text}`)
  }
  return { bucket: text }
}

export const replicasOf = (count: number): Replicas =>
  Object.fromEntries(services.map((name) => [name, count])) as Replicas // Every service by construction.

function parseReplicas(pairs: readonly string[], argument: string): Partial<Replicas> {
  const replicas: Partial<Replicas> = {}
  for (const pair of pairs) {
    const [name, count] = pair.split('=')
    const known = services.find((service) => service === name)
    if (!known) throw new UsageError(`${argument}: no service ${name}; there are ${services.join(', ')}`)
    if (!/^[0-9]{1,2}$/.test(count ?? '') || Number(count) > MOST_REPLICAS) {
      throw new UsageError(`${argument} ${known}=N: N is from 0 to ${MOST_REPLICAS}`)
    }
    replicas[known] = Number(count)
  }
  return replicas
}

function parseSettings(pairs: string[]): Record<string, string> {
  return Object.fromEntries(
    pairs.map((pair) => {
      const at = pair.indexOf('=')
      if (at < 1) throw new UsageError(`--set NAME=VALUE, not ${pair}`)
      const name = pair.slice(0, at)
      if (!settingNames.includes(name)) {
        throw new UsageError(`--set ${name}: no service knows this setting; docs/configuration.md has all of them`)
      }
      return [name, pair.slice(at + 1)]
    }),
  )
}
