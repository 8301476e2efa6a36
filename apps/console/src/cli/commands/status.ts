/** postbus status: the whole platform at one look. Exit status 0: every service is there and ready; 1: not. */
import { type Bus, type BusReport, BusUnavailable } from '@postbus/bus'
import { countQueue, QueueFilter, serviceNames, type ServiceStatus, serviceStatus } from '@postbus/contracts'
import type { z } from 'zod'

import type { Command } from '../command.ts'
import { bytes, span, table } from '../table.ts'

const NOT_WELL = 1

type Queue = Omit<z.output<typeof countQueue.output>, 'sites'> & { states: Record<string, number> }

interface PlatformStatus {
  /** Every service of the platform has a copy that answered, and every copy is ready. */
  ready: boolean
  /** Services of which no copy answered. */
  missing: string[]
  services: ServiceStatus[]
  bus: BusReport
  /** Null: custody does not answer. */
  queue: Queue | null
}

export const statusCommand: Command = {
  name: 'status',
  takes: '',
  summary: 'the whole platform: services, what they wait for, lag, queue; exit status 1 if anything is not ready',
  details:
    'Every copy of every service is asked over the bus; one that does not answer in three seconds is not in the list. Errors and warnings\nare log lines of the last five minutes. Lag is what a reader has not been given yet, and what it has in hand.',
  async run({ bus }) {
    const [services, report, queue] = await Promise.all([
      bus.survey(serviceStatus, {}, { enough: areAllThere }),
      bus.inspect(),
      queueOf(bus),
    ])
    const missing = missingFrom(services)
    const ready = missing.length === 0 && services.every((one) => one.ready)
    const value: PlatformStatus = { ready, missing, services: inOrder(services), bus: report, queue }
    return { value, text: textOf(value), ...(!ready && { status: NOT_WELL }) }
  },
}

const missingFrom = (services: readonly ServiceStatus[]): string[] =>
  serviceNames.filter((name) => !services.some(({ service }) => service === name))

const areAllThere = (services: readonly ServiceStatus[]): boolean => missingFrom(services).length === 0

const inOrder = (services: readonly ServiceStatus[]): ServiceStatus[] =>
  services.toSorted(
    (one, other) =>
      serviceNames.indexOf(one.service) - serviceNames.indexOf(other.service) ||
      one.startedAt.localeCompare(other.startedAt),
  )

/** As many sites as custody names at once; what is beyond them counts in the total. */
const MAX_SITES = 10_000

async function queueOf(bus: Bus): Promise<Queue | null> {
  try {
    const { sites, total } = await bus.request(countQueue, { filter: QueueFilter.parse({}), limit: MAX_SITES })
    const sum = (state: 'routed' | 'deferred' | 'held' | 'dead'): number =>
      sites.reduce((count, site) => count + site[state], 0)
    return { total, states: { routed: sum('routed'), deferred: sum('deferred'), held: sum('held'), dead: sum('dead') } }
  } catch (error) {
    if (error instanceof BusUnavailable) return null
    throw error
  }
}

function textOf({ missing, services, bus, queue }: PlatformStatus): string {
  const copies = services.map((one) => [
    ...[one.service, one.instance, one.version, span(Date.now() - Date.parse(one.startedAt))],
    one.ready ? 'ready' : `not ready: ${one.reasons.join('; ')}`,
    ...[one.troubles.errors, one.troubles.warnings, bytes(one.residentBytes), `${one.eventLoopDelayMs} ms`],
    one.logLevel,
  ])
  const nobody = missing.map((name) => [name, '–', '–', '–', 'no copy answers', '', '', '', '', ''])
  const header = ['service', 'instance', 'version', 'up', 'state', 'errors', 'warnings', 'memory', 'delay', 'log']
  const { server, roundTripMs, storage } = bus
  const room = storage.maxBytes === null ? '' : ` of ${bytes(storage.maxBytes)}`
  const waiting =
    queue === null
      ? 'queue: custody does not answer'
      : `queue: ${queue.total} open outgoing recipients (${Object.entries(queue.states)
          .map(([state, count]) => `${count} ${state}`)
          .join(', ')})`
  return [
    table(header, [...copies, ...nobody]),
    `bus: nats-server ${server.version}, answers in ${roundTripMs.toFixed(1)} ms, holds ${bytes(storage.bytes)}${room}`,
    table(['stream', 'messages', 'size', 'oldest', 'reader', 'lag', 'in hand', 'again'], streamRows(bus)),
    waiting,
  ].join('\n\n')
}

function streamRows({ streams, time }: BusReport): unknown[][] {
  const now = time === null ? Date.now() : Date.parse(time)
  return streams.flatMap(({ name, messages, bytes: size, firstAt, consumers, missing }) => {
    const stream = [name, missing ? 'missing' : messages, bytes(size), firstAt && span(now - Date.parse(firstAt))]
    const readers = lanesAsOne(consumers)
    if (readers.length === 0) return [[...stream, '', '', '', '']]
    return readers.map((reader, index) => [
      ...(index === 0 ? stream : ['', '', '', '']),
      ...[reader.name, reader.pending, reader.inHand, reader.redelivered],
    ])
  })
}

type Reader = Pick<BusReport['streams'][number]['consumers'][number], 'name' | 'pending' | 'inHand' | 'redelivered'>

/** The lanes of delivery are many, and one row. */
function lanesAsOne(consumers: readonly Reader[]): Reader[] {
  const lanes = consumers.filter(({ name }) => name.startsWith('lane-'))
  const others = consumers.filter(({ name }) => !name.startsWith('lane-'))
  if (lanes.length === 0) return others
  const sum = (count: 'pending' | 'inHand' | 'redelivered'): number => lanes.reduce((all, lane) => all + lane[count], 0)
  const all = { name: `${lanes.length} lanes`, pending: sum('pending'), inHand: sum('inHand') }
  return [...others, { ...all, redelivered: sum('redelivered') }]
}
