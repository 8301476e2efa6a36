/** The start command's arguments. */
import { resolve } from 'node:path'
import { parseArgs } from 'node:util'

/** Every service of the embedded profile, in the order shown; the three that other processes lean on start first. */
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

export interface StartOptions {
  data: string
  basePort: number
  host: string
  readyFile: string | null
  /** One process per service instead of a few shared ones. */
  processes: boolean
  replicas: Record<ServiceName, number>
  /** Settings for all services, over the defaults of the embedded profile. */
  set: Record<string, string>
  /** What the bus may keep on disk (octets). Null: a share of the free disk. */
  busBytes: number | null
  /** Public nkeys of people who may do everything on the bus, with tools of their own. */
  busAdministrators: string[]
}

export const usage = `usage: npm start -- [option …]

  --data DIR              where everything is kept (default ./data)
  --base-port N           ports are N + the well-known one (default 2000: IMAPS on 2993)
  --host ADDRESS          listen for mail here (default 127.0.0.1); the bus and metrics stay on loopback
  --processes             one process per service
  --replicas S=N,…        so many of a service, e.g. router=2,mailstore=2; implies --processes
  --set NAME=VALUE        a setting for every service that knows it; may be repeated
  --bus-bytes N           what the bus may keep on disk, instead of a share of what is free; its streams' limits must fit
  --bus-admin NKEY        the public nkey of somebody who may do everything on the bus; may be repeated
  --ready-file FILE       written as JSON when everything answers, and again when a process was replaced
  --help
`

export class UsageError extends Error {
  override readonly name = 'UsageError'
}

/** @throws UsageError naming the argument and what is allowed; null when help was asked for. */
export function startOptions(args: string[], root: string): StartOptions | null {
  const { values } = parse(args)
  if (values.help) return null
  const replicas = parseReplicas(values.replicas)
  return {
    data: resolve(values.data ?? resolve(root, 'data')),
    basePort: parseBasePort(values['base-port'] ?? '2000'),
    host: values.host ?? '127.0.0.1',
    readyFile: values['ready-file'] === undefined ? null : resolve(values['ready-file']),
    processes: values.processes === true || Object.values(replicas).some((count) => count !== 1),
    replicas,
    set: parseSettings(values.set ?? []),
    busAdministrators: (values['bus-admin'] ?? []).map(parseNkey),
    busBytes: values['bus-bytes'] === undefined ? null : parseBytes(values['bus-bytes']),
  }
}

function parse(args: string[]) {
  try {
    return parseArgs({
      args,
      options: {
        data: { type: 'string' },
        'base-port': { type: 'string' },
        host: { type: 'string' },
        processes: { type: 'boolean' },
        replicas: { type: 'string' },
        set: { type: 'string', multiple: true },
        'bus-bytes': { type: 'string' },
        'bus-admin': { type: 'string', multiple: true },
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

function parseReplicas(text: string | undefined): Record<ServiceName, number> {
  const replicas = Object.fromEntries(services.map((name) => [name, 1])) as Record<ServiceName, number>
  for (const pair of text?.split(',') ?? []) {
    const [name, count] = pair.split('=')
    const known = services.find((service) => service === name)
    if (!known) throw new UsageError(`--replicas: no service ${name}; there are ${services.join(', ')}`)
    if (!/^[0-9]{1,2}$/.test(count ?? '')) throw new UsageError(`--replicas ${known}=N: N is from 0 to 99`)
    replicas[known] = Number(count)
  }
  return replicas
}

function parseSettings(pairs: string[]): Record<string, string> {
  return Object.fromEntries(
    pairs.map((pair) => {
      const at = pair.indexOf('=')
      if (at < 1) throw new UsageError(`--set NAME=VALUE, not ${pair}`)
      return [pair.slice(0, at), pair.slice(at + 1)]
    }),
  )
}
