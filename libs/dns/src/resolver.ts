/**
 * A stub resolver: asks recursive servers, follows aliases, remembers answers as long as their zones allow.
 *
 * "There is none" (noData, noName) is only ever said when a server said it. Everything else, a server's failure, silence, nonsense or
 * an endless alias, is thrown as `DnsUnavailable`: it is temporary, and mail depends on the difference.
 *
 * STANDARDS  RFC 1034 §3.6.2, §5.3.1 (aliases, stub resolvers); RFC 2308 (negative answers); RFC 2181 §5.2, §8 (TTL); RFC 4035 §4.9.3 and
 *            RFC 6840 §5.8 (AD); RFC 6604 §2 (the code of an answer with aliases is its end's); RFC 6761 §6.3 (localhost);
 *            RFC 9520 §3.2 (failures are remembered, briefly)
 */
import { isIPv4 } from 'node:net'

import { childStep, SpanKind } from '@postbus/tracing'

import { cache, type Cache } from './cache.ts'
import { DnsUnavailable, type ServerFailure } from './errors.ts'
import { exchange, NoAnswer } from './exchange.ts'
import type { Question, Response } from './message.ts'
import { normalName, reverseName } from './names.ts'
import type { Records, RecordType } from './records.ts'
import { slots } from './slots.ts'
import { type Server, type ServerList, serverList, serverName } from './server-list.ts'

interface Said {
  /** The name that has the records, or has none: the one asked for, or where its aliases end. */
  name: string
  /** DNSSEC vouches for all of it, by the word of a server that is believed (`trustAd`). */
  authenticated: boolean
  /** Seconds for which it may be believed from now on. */
  ttl: number
}

export type Answer<T> =
  | ({ kind: 'answer'; records: readonly T[] } & Said)
  /** The name exists, without records of this type. */
  | ({ kind: 'noData' } & Said)
  /** The name does not exist — RFC 1035 §4.1.1, NXDOMAIN. */
  | ({ kind: 'noName' } & Said)

/** Every method: @throws DnsUnavailable; InvalidName for what cannot be asked. */
export interface Dns {
  ask<T extends RecordType>(type: T, name: string): Promise<Answer<Records[T]>>
  mx(name: string): Promise<Answer<Records['MX']>>
  a(name: string): Promise<Answer<string>>
  aaaa(name: string): Promise<Answer<string>>
  txt(name: string): Promise<Answer<Records['TXT']>>
  tlsa(name: string): Promise<Answer<Records['TLSA']>>
  /** The names of an address. */
  ptr(address: string): Promise<Answer<string>>
  /** Questions under way end with DnsUnavailable; nobody is asked any more. */
  close(): void
}

/** A question that has been answered, or not, for whoever counts. */
export interface AskedEvent {
  type: RecordType
  outcome: 'answer' | 'noData' | 'noName' | 'unavailable'
  /** Nobody was asked. */
  cached: boolean
  elapsedMs: number
}

export interface DnsOptions {
  /** None: those of the system. */
  servers?: readonly Server[]
  /** Where the system's servers are listed. Default /etc/resolv.conf. */
  systemFile?: string
  /** Each question begins with the next server instead of the first. Default: as the system's file says. */
  rotate?: boolean
  /** For one try over UDP or TCP. Default 5000. */
  timeoutMs?: number
  /** How often the whole list of servers is gone through. Default 2. */
  rounds?: number
  /** Names whose answers are kept, for each type. Default 10 000. */
  cacheEntries?: number
  /** An answer is kept no shorter than this, whatever its TTL. Default 1000. */
  minTtlMs?: number
  /** And no longer than this. Default an hour. */
  maxTtlMs?: number
  /** A negative answer is kept no longer than this. Default a quarter of an hour. */
  maxNegativeTtlMs?: number
  /** The AD bit of every server is believed; without it only that of servers on loopback — RFC 4035 §4.9.3. Default false. */
  trustAd?: boolean
  /** A clock in milliseconds that never goes back. */
  now?(): number
  asked?(event: AskedEvent): void
  /** One server did not answer one question. */
  failed?(failure: ServerFailure): void
}

/** Aliases one after another; more are a loop, or might as well be. */
const MAX_ALIASES = 16
/** RFC 9520 §3.2: at least a second, at most five minutes. Short, because a deferral follows from it. */
const FAILURE_MS = 3000
/** Questions on the wire at once; others wait. Each is a socket, and more than these overrun the buffer of a server's. */
const MAX_AT_ONCE = 200
/** Questions waiting; beyond them nobody is asked. */
const MAX_WAITING = 20_000
/** Failures that a message tells; `failures` has them all. */
const MAX_TOLD = 8
/** Octets of an answer that is kept; larger ones are asked for each time. With `cacheEntries` it bounds the memory. */
const MAX_KEPT_OCTETS = 4096

type Finding<T> = Answer<T> | DnsUnavailable

/** What is known and what is being asked, of one type, by name. */
interface Shelf<T> {
  kept: Cache<Finding<T>>
  flights: Map<string, Promise<Finding<T>>>
}

export function dnsResolver(options: DnsOptions = {}): Dns {
  const now = options.now ?? (() => performance.now())
  const { timeoutMs = 5000, rounds = 2, cacheEntries = 10_000, trustAd = false } = options
  const { minTtlMs = 1000, maxTtlMs = 3_600_000, maxNegativeTtlMs = 900_000 } = options
  const list: ServerList = serverList({
    servers: options.servers ?? [],
    systemFile: options.systemFile ?? '/etc/resolv.conf',
    rotate: options.rotate ?? false,
    now,
  })
  const shelf = <T>(): Shelf<T> => ({ kept: cache({ maxEntries: cacheEntries, now }), flights: new Map() })
  const shelves: { readonly [T in RecordType]: Shelf<Records[T]> } = {
    ...{ A: shelf(), AAAA: shelf(), CNAME: shelf(), MX: shelf() },
    ...{ NS: shelf(), PTR: shelf(), TLSA: shelf(), TXT: shelf() },
  }
  const slot = slots(MAX_AT_ONCE, MAX_WAITING)
  const closing = new AbortController()

  async function ask<T extends RecordType>(type: T, text: string): Promise<Answer<Records[T]>> {
    const question = { type, name: normalName(text) }
    const began = now()
    const step = childStep(`DNS ${type}`, {
      kind: SpanKind.CLIENT,
      attributes: { 'dns.question.name': question.name, 'dns.question.type': type },
    })
    const { finding, cached } = await step.run(() => find(question))
    step.set({ 'postbus.dns.cached': cached })
    if (finding instanceof DnsUnavailable) step.failed(finding.name)
    step.end()
    const unavailable = finding instanceof DnsUnavailable
    options.asked?.({ type, outcome: unavailable ? 'unavailable' : finding.kind, cached, elapsedMs: now() - began })
    if (unavailable) throw finding
    return finding
  }

  async function find<T extends RecordType>(
    question: Question & { type: T },
  ): Promise<{ finding: Finding<Records[T]>; cached: boolean }> {
    const local = localhost(question)
    if (local !== null) return { finding: local, cached: true }
    const { kept, flights }: Shelf<Records[T]> = shelves[question.type]
    const known = kept.get(question.name)
    if (known?.value instanceof DnsUnavailable) return { finding: known.value, cached: true }
    if (known) return { finding: { ...known.value, ttl: seconds(known.leftMs) }, cached: true }
    const flight = flights.get(question.name) ?? fly(question, kept).finally(() => flights.delete(question.name))
    flights.set(question.name, flight)
    return { finding: await flight, cached: false }
  }

  async function fly<T extends RecordType>(
    question: Question & { type: T },
    kept: Cache<Finding<Records[T]>>,
  ): Promise<Finding<Records[T]>> {
    try {
      const { answer, octets } = await lookUp(question)
      if (octets <= MAX_KEPT_OCTETS) kept.set(question.name, answer, lifeOf(answer))
      return answer
    } catch (error) {
      if (!(error instanceof DnsUnavailable)) throw error
      kept.set(question.name, error, FAILURE_MS)
      return error
    }
  }

  /** Milliseconds. */
  function lifeOf({ kind, ttl }: Answer<unknown>): number {
    if (kind === 'answer') return Math.min(maxTtlMs, Math.max(minTtlMs, ttl * 1000))
    // RFC 2308 §5: a negative answer without SOA has no time to live and is not kept.
    return Math.min(maxNegativeTtlMs, ttl * 1000)
  }

  /** Follows aliases through as many answers as it takes. It joins no flight of another question: two could wait for each other. */
  async function lookUp<T extends RecordType>(
    question: Question & { type: T },
  ): Promise<{ answer: Answer<Records[T]>; octets: number }> {
    let authenticated = true
    let ttl = Infinity
    let octets = 0
    let { name } = question
    const passed = new Set<string>()
    for (;;) {
      const { response, believed } = await askServers({ ...question, name })
      authenticated &&= response.authenticated && believed
      octets += response.octets
      const asked = name
      const aliases = new Map(response.aliases.map((alias) => [alias.name, alias]))
      let alias = aliases.get(name)
      while (alias !== undefined) {
        passed.add(name)
        if (passed.has(alias.data) || passed.size > MAX_ALIASES)
          throw new DnsUnavailable(`${question.name}: its aliases lead nowhere`)
        ttl = Math.min(ttl, alias.ttl)
        name = alias.data
        alias = aliases.get(name)
      }
      const found = response.records.filter((record) => record.name === name)
      if (found.length > 0) {
        for (const record of found) ttl = Math.min(ttl, record.ttl)
        const records = found.map(({ data }) => data)
        return { answer: { kind: 'answer', records, name, authenticated, ttl }, octets }
      }
      // An answer that ends in an alias, and says nothing of where it leads: that is a question of its own.
      const open = name !== asked && response.soa === null && response.rcode === 'NOERROR'
      if (!open) {
        const kind = response.rcode === 'NXDOMAIN' ? 'noName' : 'noData'
        return { answer: { kind, name, authenticated, ttl: Math.min(ttl, response.soa?.ttl ?? 0) }, octets }
      }
      name = targetOf(name)
    }
  }

  /** The first usable answer: NOERROR or NXDOMAIN. Who failed for a reason of its own is not asked the same again. */
  async function askServers<T extends RecordType>(
    question: Question & { type: T },
  ): Promise<{ response: Response<T>; believed: boolean }> {
    const failures: ServerFailure[] = []
    const refused = new Set<string>()
    for (let round = 0; round < rounds; round++) {
      for (const server of await list.order()) {
        if (closing.signal.aborted) throw new DnsUnavailable('the resolver is closed', failures)
        if (refused.has(serverName(server))) continue
        const fail = (reason: string): void => {
          const failure = { server: serverName(server), reason }
          failures.push(failure)
          options.failed?.(failure)
        }
        try {
          const response = await slot(() => exchange(server, question, { timeoutMs, signal: closing.signal }))
          list.answered(server)
          const objection = objectionTo(response)
          if (objection === null) return { response, believed: trustAd || isLoopback(server) }
          refused.add(serverName(server))
          fail(objection)
        } catch (error) {
          if (!(error instanceof NoAnswer)) throw error
          if (error.reason !== 'closed') list.silent(server)
          fail(error.reason)
        }
      }
    }
    const reasons = [...new Set(failures.map(({ server, reason }) => `${server} ${reason}`))].slice(0, MAX_TOLD)
    throw new DnsUnavailable(`${question.type} ${question.name || '.'}: ${reasons.join(', ')}`, failures)
  }

  return {
    ask,
    mx: (name) => ask('MX', name),
    a: (name) => ask('A', name),
    aaaa: (name) => ask('AAAA', name),
    txt: (name) => ask('TXT', name),
    tlsa: (name) => ask('TLSA', name),
    ptr: async (address) => ask('PTR', reverseName(address)),
    close: () => closing.abort(),
  }
}

const seconds = (ms: number): number => Math.ceil(ms / 1000)

/** Why a response says nothing about the question. */
function objectionTo(response: Response): string | null {
  if (response.rcode !== 'NOERROR' && response.rcode !== 'NXDOMAIN') return response.rcode
  // RFC 2308 §2.2: names of other servers and nothing else, or nothing at all from one that neither knows nor asks. "No data" would be a guess.
  const empty = response.records.length === 0 && response.aliases.length === 0 && response.soa === null
  const guess = !response.authoritative && (response.delegates || !response.recursive)
  return response.rcode === 'NOERROR' && empty && guess ? 'referral' : null
}

/** An alias may hold any octets; only what can be asked is followed. */
function targetOf(name: string): string {
  try {
    return normalName(name)
  } catch (cause) {
    throw new DnsUnavailable(`an alias leads to no domain name`, [], { cause })
  }
}

const isLoopback = ({ address }: Server): boolean =>
  address === '::1' || (isIPv4(address) && address.startsWith('127.'))

/** RFC 6761 §6.3: never asked, always loopback. */
function localhost<T extends RecordType>({ type, name }: Question & { type: T }): Answer<Records[T]> | null {
  if (name !== 'localhost' && !name.endsWith('.localhost')) return null
  const said = { name, authenticated: false, ttl: seconds(FAILURE_MS) }
  const addresses: Partial<{ [Type in RecordType]: Records[Type] }> = { A: '127.0.0.1', AAAA: '::1' }
  const address = addresses[type]
  return address === undefined ? { kind: 'noData', ...said } : { kind: 'answer', records: [address], ...said }
}
