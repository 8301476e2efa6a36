/** postbus doctor: looks at everything that can be looked at from here, and says what to do. Changes nothing. */
import { existsSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'

import type { Bus } from '@postbus/bus'
import { countQueue, listDomains, listSigningKeys } from '@postbus/contracts'
import type { Dns } from '@postbus/dns'
import { type DataLayout, holderOf, type InstanceSettings, instanceSettings, layoutOf } from '@postbus/profile'
import { examineDatabase, examinePostgres, isPostgres } from '@postbus/sql'

import { addressesOf, domainState, nameState, resolverState } from '../../adapters/dns-state.ts'
import {
  diskOf,
  fileSystemAhead,
  greetingOf,
  healthOf,
  isSynchronised,
  modesIn,
  ownAddresses,
  whyClosed,
} from '../../adapters/machine.ts'
import { keptBytes } from '../../adapters/kept-bytes.ts'
import { spoolState } from '../../adapters/spool-state.ts'
import { judgeBus } from '../../doctor/bus.ts'
import { judgeCertificate } from '../../doctor/certificates.ts'
import { judgeClock } from '../../doctor/clock.ts'
import { judgeDatabase, judgeServer } from '../../doctor/databases.ts'
import { judgeDisk } from '../../doctor/disk.ts'
import { judgeDomain, judgeName, judgeResolver } from '../../doctor/domains.ts'
import { type Check, examine } from '../../doctor/examine.ts'
import { error, exitStatus, type Finding, ok, unknown } from '../../doctor/finding.ts'
import { judgeKeys } from '../../doctor/keys.ts'
import { judgeListeners } from '../../doctor/listeners.ts'
import { judgeOutbound } from '../../doctor/outbound.ts'
import { judgeSchedules } from '../../doctor/queue.ts'
import { judgeService } from '../../doctor/services.ts'
import { judgeSpool } from '../../doctor/spool.ts'
import { type LocalCommand, textOption, UsageError } from '../command.ts'
import { dnsServerOption, resolverOf } from '../resolver.ts'
import { connectOperator, dataDirectory, NotRunning } from '../connect.ts'
import { table } from '../table.ts'

/** Somebody whose port 25 answers everywhere it is let out. */
const ANYBODY = 'gmail.com'
const SMTP_PORT = 25
const MAX_SITES = 10_000
const PAGE = 500

export const doctorCommand: LocalCommand = {
  name: 'doctor',
  takes: '',
  summary: 'look at everything, and say what is wrong and what to do',
  details:
    'Looks only. Call it as the user the platform runs as. Exit status 0: well; 1: warnings; 2: errors. What could not be looked at is\nsaid, and counts as neither.',
  options: {
    offline: { type: 'string', help: 'a data directory whose platform is stopped' },
    'no-network': { type: 'boolean', help: 'ask neither DNS nor other sites' },
    ...dnsServerOption,
    outbound: {
      type: 'string',
      help: `host:port to try port 25 with (default: the smarthost, or an MX of ${ANYBODY})`,
    },
  },
  async runLocally({ options, env, progress }) {
    const offline = textOption(options, 'offline')
    const outbound = targetOf(textOption(options, 'outbound'))
    const data = offline === undefined ? dataOf(textOption(options, 'data'), env) : resolve(offline)
    if (offline !== undefined && data !== null && !isDataDirectory(layoutOf(data)))
      throw new UsageError(`${data} is no data directory of a platform`)
    const machine = data === null ? null : { layout: layoutOf(data), settings: await instanceSettings(layoutOf(data)) }
    const began: Finding[] = []
    const dns = resolverOf(options)
    let bus: Bus | null = null
    try {
      if (offline === undefined) bus = await connected(textOption(options, 'data'), env, began)
      const checks = [
        ...(offline !== undefined && machine ? [stopped(machine.layout)] : []),
        ...(bus ? busChecks(bus) : []),
        ...(machine ? machineChecks(machine, offline === undefined) : []),
        ...servers(machine?.settings ?? {}, env),
        clock(bus, machine?.layout ?? null),
        ...(options['no-network'] === true
          ? []
          : networkChecks({ bus, dns, settings: machine?.settings ?? {}, outbound })),
      ]
      const value = [...began, ...(await examine(checks, (name) => progress(`looking at ${name}`)))]
      if (machine === null)
        value.push(
          unknown('machine', 'no data directory: disk, spool and databases were not looked at', 'say --data DIR'),
        )
      const rows = value.map(({ check, level, found, todo }) => [check, level, found, todo ?? ''])
      return { value, text: table(['check', 'state', 'found', 'what to do'], rows), status: exitStatus(value) }
    } finally {
      dns.close()
      await bus?.close()
    }
  },
}

const isDataDirectory = ({ databases: tables, keys }: DataLayout): boolean => existsSync(tables) || existsSync(keys)

interface Machine {
  layout: DataLayout
  settings: InstanceSettings
}

async function connected(
  dataOption: string | undefined,
  env: NodeJS.ProcessEnv,
  found: Finding[],
): Promise<Bus | null> {
  try {
    return await connectOperator(dataOption, env)
  } catch (cause) {
    if (!(cause instanceof NotRunning)) throw cause
    found.push(error('bus', cause.message, 'start it, or see logs/nats.log; --offline DIR looks at what is stopped'))
    return null
  }
}

function dataOf(dataOption: string | undefined, { NATS_URL, NATS_NKEY_FILE }: NodeJS.ProcessEnv): string | null {
  return dataOption === undefined && NATS_URL !== undefined && NATS_NKEY_FILE !== undefined
    ? null
    : dataDirectory(dataOption)
}

const stopped = (layout: DataLayout): Check => ({
  name: 'platform',
  async look() {
    const holder = await holderOf(layout.data)
    return [
      holder === null
        ? ok('platform', 'stopped')
        : error('platform', `process ${holder} uses this directory`, 'leave --offline out'),
    ]
  },
})

function busChecks(bus: Bus): Check[] {
  return [
    {
      name: 'bus',
      async look() {
        const report = await bus.inspect()
        return judgeBus(report, report.time === null ? Date.now() : Date.parse(report.time))
      },
    },
    {
      name: 'schedules',
      async look() {
        const { sites } = await bus.request(countQueue, { filter: { states: ['deferred'] }, limit: MAX_SITES })
        return [judgeSchedules(sites, Date.now())]
      },
    },
  ]
}

function machineChecks({ layout, settings }: Machine, running: boolean): Check[] {
  const instances = Object.entries(settings)
  const services = instances.map(([name, { HEALTH_HOST = '', HEALTH_PORT = '' }]) => ({
    name,
    look: async () => [judgeService({ name, health: await healthOf(HEALTH_HOST, HEALTH_PORT) })],
  }))
  const none = unknown('services', 'this directory does not say what runs', 'npm start writes it')
  return [
    ...(running ? (services.length > 0 ? services : [{ name: 'services', look: () => [none] }]) : []),
    ...(running && services.length > 0
      ? [{ name: 'ports', look: async () => judgeListeners(await listeners(settings)) }]
      : []),
    { name: 'keys', look: async () => [judgeKeys(await modesIn(layout.keys))] },
    ...certificates({ layout, settings }),
    { name: 'disk', look: async () => judgeDisk(await diskOf(layout.data)) },
    { name: 'spool', slow: true, look: async () => judgeSpool(await spoolState(await keptBytes(layout)), Date.now()) },
    { name: 'databases', slow: true, look: () => databases(layout, settings) },
  ]
}

async function databases(layout: DataLayout, settings: InstanceSettings): Promise<Finding[]> {
  const isElsewhere = serverLocations(settings, {}).size > 0
  const files = await readdir(layout.databases).catch((cause: unknown) => {
    if (isElsewhere) return []
    throw cause
  })
  const names = files.filter((name) => name.endsWith('.sqlite'))
  if (names.length === 0 && isElsewhere) return []
  if (names.length === 0) return [error('databases', 'there are none', 'is this the data directory? restore a backup')]
  return names.map((name) =>
    judgeDatabase(name.slice(0, -'.sqlite'.length), examineDatabase(join(layout.databases, name))),
  )
}

/** A service's setting, and with it the name of its schema. */
const DATABASE = /^([A-Z]+)_DATABASE$/

/** By service; what runs says where its tables are, or else the environment does. */
function serverLocations(settings: InstanceSettings, env: NodeJS.ProcessEnv): Map<string, string> {
  const locations = new Map<string, string>()
  for (const values of [env, ...Object.values(settings)]) {
    for (const [name, location] of Object.entries(values)) {
      const service = DATABASE.exec(name)?.[1]?.toLowerCase()
      if (service !== undefined && location !== undefined && isPostgres(location)) locations.set(service, location)
    }
  }
  return locations
}

function servers(settings: InstanceSettings, env: NodeJS.ProcessEnv): Check[] {
  return [...serverLocations(settings, env)].map(([service, location]) => ({
    name: `database ${service}`,
    async look() {
      const report = await examinePostgres(location, service).catch((cause: unknown) => ({
        unreachable: cause instanceof Error ? cause.message : String(cause),
      }))
      return [judgeServer(service, report)]
    },
  }))
}

/** Names of settings that are ports for others. */
const LISTENING = /^(?:INBOUND|SUBMISSIONS?|IMAPS?|POP3S?)_PORT$/

function listeners(settings: InstanceSettings) {
  const all = Object.entries(settings).flatMap(([instance, { LISTEN_HOST: host = '127.0.0.1', ...values }]) =>
    Object.entries(values)
      .filter(([name, port]) => LISTENING.test(name) && port !== '0')
      .map(([name, port]) => ({ name: `${instance} ${name}`, host, port: Number(port) })),
  )
  return Promise.all(
    all.map(async ({ name, host, port }) => {
      const reachable = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host
      return { name, address: `${host}:${port}`, refused: await whyClosed(reachable, port) }
    }),
  )
}

/** Each pair of files once, for all the names it serves. */
function certificates({ layout, settings }: Machine): Check[] {
  const pairs = new Map<string, { file: string; keyFile: string; names: Set<string> }>()
  for (const { TLS_CERT_FILE: file, TLS_KEY_FILE: keyFile, MAIL_HOSTNAME: name } of Object.values(settings)) {
    if (file === undefined || keyFile === undefined) continue
    const pair = pairs.get(file) ?? { file, keyFile, names: new Set() }
    if (name !== undefined) pair.names.add(name)
    pairs.set(file, pair)
  }
  return [...pairs.values()].map(({ file, keyFile, names }) => ({
    name: `certificate ${file}`,
    async look() {
      const [certificate, key] = await Promise.all([readFile(file, 'utf8'), readFile(keyFile, 'utf8')])
      const authority = await readFile(join(layout.tls, 'ca.pem'), 'utf8').catch(() => null)
      return judgeCertificate({ file, certificate, key, authority, names: [...names] }, Date.now())
    },
  }))
}

const clock = (bus: Bus | null, layout: DataLayout | null): Check => ({
  name: 'clock',
  async look() {
    const before = Date.now()
    const time = bus === null ? null : await bus.inspect().then((report) => report.time)
    const broker = time === null ? null : Date.parse(time) - (before + Date.now()) / 2
    const fileSystem = layout === null ? null : await fileSystemAhead(layout.data)
    const found = judgeClock({ broker, fileSystem, synchronised: await isSynchronised() })
    return bus === null ? found.filter(({ check }) => check !== 'clock of the bus') : found
  },
})

interface Network {
  bus: Bus | null
  dns: Dns
  settings: InstanceSettings
  outbound: { host: string; port: number } | null
}

function networkChecks({ bus, dns, settings, outbound }: Network): Check[] {
  const hostname = Object.values(settings).find(({ MAIL_HOSTNAME: name }) => name !== undefined)?.['MAIL_HOSTNAME']
  const smarthost = Object.values(settings).find(({ DELIVERY_SMARTHOST: host }) => host !== undefined)?.[
    'DELIVERY_SMARTHOST'
  ]
  return [
    { name: 'DNS', look: async () => [judgeResolver(await resolverState(dns))] },
    ...(hostname === undefined
      ? []
      : [{ name: `name ${hostname}`, look: async () => judgeName(await nameState(dns, hostname)) }]),
    ...(bus === null ? [] : [{ name: 'domains', slow: true, look: () => domains(bus, dns, hostname) }]),
    {
      name: 'outbound port',
      slow: true,
      async look() {
        const { host, port } = outbound ?? targetOf(smarthost) ?? (await anybody(dns))
        return [judgeOutbound(await greetingOf(host, port))]
      },
    },
  ]
}

async function domains(bus: Bus, dns: Dns, hostname: string | undefined): Promise<Finding[]> {
  const addresses = new Set([
    ...ownAddresses(),
    ...((hostname !== undefined && (await addressesOf(dns, hostname))) || []),
  ])
  const findings: Finding[] = []
  let after: string | undefined
  for (let more = true; more;) {
    const page = await bus.request(listDomains, { limit: PAGE, ...(after !== undefined && { after }) })
    for (const { domain } of page.domains) {
      const { keys } = await bus.request(listSigningKeys, { domain })
      const active = keys.filter(({ state }) => state === 'active')
      const prepared = keys.some(({ state }) => state === 'prepared')
      const state = await domainState(dns, domain, active, { hostname: hostname ?? '', addresses })
      findings.push(...judgeDomain({ ...state, prepared }))
    }
    after = page.domains.at(-1)?.domain
    more = page.more
  }
  return findings
}

async function anybody(dns: Dns): Promise<{ host: string; port: number }> {
  const answer = await dns.mx(ANYBODY)
  const [first] = answer.kind === 'answer' ? [...answer.records].sort((a, b) => a.preference - b.preference) : []
  if (first === undefined) throw new Error(`DNS names no MX of ${ANYBODY}`)
  return { host: first.exchange, port: SMTP_PORT }
}

function targetOf(text: string | undefined): { host: string; port: number } | null {
  if (text === undefined) return null
  const [, host, port] = /^\[?([^\]\s]+?)\]?:(\d{1,5})$/.exec(text) ?? []
  if (host === undefined) throw new UsageError(`--outbound is host:port, not ${text}`)
  return { host, port: Number(port) }
}
