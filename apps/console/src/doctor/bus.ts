/** The bus: whether all that the contracts name is there, has room, and is read. */
import type { BusReport, ConsumerReport, StreamReport } from '@postbus/bus'

import { error, type Finding, named, ok, percent, warning } from './finding.ts'

/** What the platform was written for; older ones lack scheduled messages that can be cancelled. */
const OLDEST_SERVER = [2, 15, 1]
const SLOW_MS = 100
const FULL = { warning: 75, error: 95 }
/** Work that lies for longer is stuck behind something. */
const OLD_WORK_MS = 15 * 60_000
const WORK = ['MAIL_ACCEPTED', 'MAIL_LOCAL', 'MAIL_STATUS']
const DEAD = 'MAIL_DEAD'
const BOOKS = 'MAIL_STATUS'

/** @param now by the server's clock */
export function judgeBus(report: BusReport, now: number): Finding[] {
  const { streams } = report
  return [
    judgeServer(report),
    judgeStorage(report),
    ...judgeMade(streams),
    ...streams.map(judgeLimit).filter((finding) => finding !== null),
    ...judgeReading(streams),
    ...judgeAge(streams, now),
    judgeDead(streams),
  ]
}

function judgeServer({ server, roundTripMs }: BusReport): Finding {
  const found = `nats-server ${server.version}, answers in ${roundTripMs.toFixed(1)} ms`
  if (isOlder(server.version)) return error('bus', found, `use nats-server ${OLDEST_SERVER.join('.')} or later`)
  if (roundTripMs > SLOW_MS) return warning('bus', found, 'look at the load of its machine and at the network to it')
  return ok('bus', found)
}

function isOlder(version: string): boolean {
  const parts = version.split(/[.-]/).map(Number)
  for (const [index, least] of OLDEST_SERVER.entries()) {
    const part = parts[index] ?? 0
    if (part !== least) return part < least
  }
  return false
}

function judgeStorage({ storage: { bytes, maxBytes } }: BusReport): Finding {
  const check = 'bus storage'
  if (maxBytes === null) return warning(check, 'without a limit', 'bound it (max_file), or it fills the disk')
  const full = percent(bytes, maxBytes)
  const found = `${full} % of what it may take`
  const todo = 'find out which stream grows and why; at 100 % mail is refused (452)'
  if (full >= FULL.error) return error(check, found, todo)
  return full >= FULL.warning ? warning(check, found, todo) : ok(check, found)
}

function judgeMade(streams: readonly StreamReport[]): Finding[] {
  const consumers = streams.flatMap((stream) =>
    stream.consumers.map((consumer) => ({ ...consumer, name: `${stream.name}/${consumer.name}` })),
  )
  return (['streams', 'consumers'] as const).map((check) => {
    const all = check === 'streams' ? streams : consumers
    const missing = all.filter((one) => one.missing)
    const differing = all.filter(({ differs }) => differs.length > 0)
    if (missing.length > 0) {
      const found = `missing: ${named(missing.map(({ name }) => name))}`
      return error(check, found, 'custody makes them: see that it runs and has the provisioner’s key')
    }
    if (differing.length > 0) {
      const found = `not as they should be: ${named(differing.map(({ name, differs }) => `${name} (${differs.join(', ')})`))}`
      return error(check, found, 'custody puts them right: see its log; who changed them?')
    }
    return ok(check, `all ${all.length} as they should be`)
  })
}

function judgeLimit({ name, bytes, maxBytes }: StreamReport): Finding | null {
  if (maxBytes === null) return null
  const full = percent(bytes, maxBytes)
  if (full < FULL.warning) return null
  const todo = 'see whether those who read it work; at 100 % mail is refused (452)'
  return (full >= FULL.error ? error : warning)(name, `${full} % full`, todo)
}

/** Somebody asks for more, or has something in hand. */
const isRead = ({ pulls, inHand }: ConsumerReport): boolean => pulls > 0 || inHand > 0

function judgeReading(streams: readonly StreamReport[]): Finding[] {
  const lanes: ConsumerReport[] = []
  const findings: Finding[] = []
  for (const stream of streams) {
    for (const consumer of stream.consumers) {
      if (consumer.missing) continue
      if (consumer.name.startsWith('lane-')) lanes.push(consumer)
      else findings.push(judgeReader(stream, consumer))
    }
  }
  const unread = lanes.filter((lane) => !isRead(lane))
  const waiting = unread.filter(({ pending }) => pending > 0)
  const names = (some: readonly ConsumerReport[]): string => named(some.map(({ name }) => name))
  const todo = 'see that delivery runs; a dead owner’s lanes are taken over within DELIVERY_LEASE_MS'
  if (lanes.length === 0) return findings
  if (waiting.length > 0) findings.push(error('lanes', `mail waits and nobody owns ${names(waiting)}`, todo))
  else if (unread.length > 0) findings.push(warning('lanes', `nobody owns ${names(unread)}`, todo))
  else findings.push(ok('lanes', `all ${lanes.length} owned`))
  return findings
}

function judgeReader(stream: StreamReport, consumer: ConsumerReport): Finding {
  const leads = stream.name === BOOKS
  const check = leads ? 'books' : `${stream.name} readers`
  const { pending, inHand } = consumer
  if (isRead(consumer)) return ok(check, leads ? 'a custody leads' : `${pending} waiting, ${inHand} in hand`)
  const todo = `see that ${leads ? 'custody' : consumer.name} runs and is ready`
  return pending > 0
    ? error(check, `${pending} waiting, and nobody reads`, todo)
    : warning(check, leads ? 'no custody leads' : 'nobody reads', todo)
}

function judgeAge(streams: readonly StreamReport[], now: number): Finding[] {
  return streams.flatMap(({ name, messages, firstAt }) => {
    if (!WORK.includes(name) || firstAt === null) return []
    const ageMs = now - Date.parse(firstAt)
    if (ageMs < OLD_WORK_MS) return []
    const found = `the oldest of ${messages} messages is ${Math.round(ageMs / 60_000)} minutes old`
    return [warning(`${name} age`, found, 'see the log of whoever reads it for what it waits for')]
  })
}

function judgeDead(streams: readonly StreamReport[]): Finding {
  const waiting = streams.find(({ name }) => name === DEAD)?.messages ?? 0
  return waiting === 0
    ? ok('dead letters', 'none')
    : warning('dead letters', `${waiting} waiting`, 'postbus dead list; then retry or drop them')
}
