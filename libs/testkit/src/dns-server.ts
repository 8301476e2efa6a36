/**
 * A recursive name server for tests: real UDP and TCP on one loopback port, answers from a zone text, misbehaves by name.
 *
 *   servfail, refused   answers with that code                silent       does not answer
 *   truncate            UDP answers say "too long"            delay        answers after `ms`
 *   hold                answers when `release()` is called    noEdns       FORMERR to a question with EDNS
 *   wrongId             the answer has another id             wrongQuestion  the answer repeats another question
 *   garbage             octets that are no DNS                forged       wrongId 20 times, and nothing true over UDP
 *   referral            NOERROR, and the names of other servers   open     an alias without where it leads
 *
 * A fault is for one name or for all of them ('*'). Questions are recorded in the order they came.
 */
import { Buffer } from 'node:buffer'
import { randomBytes } from 'node:crypto'
import { createSocket, type Socket as UdpSocket } from 'node:dgram'
import { once } from 'node:events'
import { createServer, type Server, type Socket } from 'node:net'
import type { TestContext } from 'node:test'

import {
  AUTHENTIC_DATA,
  decode,
  type DecodedPacket,
  encode,
  RECURSION_AVAILABLE,
  RECURSION_DESIRED,
  TRUNCATED_RESPONSE,
} from 'dns-packet'

import { lookUpIn, parseZone, type ZoneRecord } from './dns-zone.ts'

export type DnsFault =
  | 'servfail'
  | 'refused'
  | 'silent'
  | 'truncate'
  | 'wrongId'
  | 'wrongQuestion'
  | 'garbage'
  | 'forged'
  | 'noEdns'
  | 'referral'
  | 'open'
  | 'hold'
  | { delayMs: number }
  /** Any octets instead of the answer, e.g. made from it. */
  | { answer: (answer: Buffer, question: Buffer) => Buffer }

export interface DnsServerOptions {
  /** Default 127.0.0.1. */
  host?: string
  /** Default 0: any free port. */
  port?: number
  /** Answers have the AD bit: "DNSSEC vouches for this". Default false; may be changed at any time. */
  authenticated?: boolean
}

export interface DnsQuestion {
  name: string
  type: string
  over: 'udp' | 'tcp'
  id: number
  /** The client's. */
  port: number
  /** Present with EDNS. */
  udpPayloadSize: number | undefined
  /** The bits DO and AD of the question. */
  asksForDnssec: boolean
}

export interface DnsServer {
  /** `host:port`, for DNS_SERVERS. */
  readonly address: string
  readonly host: string
  readonly port: number
  readonly questions: readonly DnsQuestion[]
  authenticated: boolean
  /** Replaces the whole zone. */
  load(zoneText: string): void
  /** Adds to the zone. */
  add(zoneText: string): void
  /** From now on, for a name or '*' for all; null ends it. A fault of a name wins over that of all. */
  fault(name: string, fault: DnsFault | null): void
  /** Answers everything on hold, and holds no more. */
  release(): void
  /** Resolves when so many questions have come in all. */
  asked(count: number): Promise<readonly DnsQuestion[]>
  close(): Promise<void>
  /** Listens again on the same port. */
  reopen(): Promise<void>
}

/** RFC 1035 §4.2.1: without EDNS. */
const PLAIN_UDP = 512
/** Somebody else may take the TCP port that UDP was given. */
const PORT_TRIES = 20
const FORGERIES = 20
const RCODE = { NOERROR: 0, FORMERR: 1, SERVFAIL: 2, NXDOMAIN: 3, REFUSED: 5 } as const

export async function startDnsServer(
  t: TestContext,
  zoneText: string,
  { host = '127.0.0.1', port = 0, authenticated = false }: DnsServerOptions = {},
): Promise<DnsServer> {
  const state: State = {
    ...{ zone: parseZone(zoneText), authenticated, faults: new Map(), questions: [], held: [], waiting: new Set() },
  }
  let listening = await listen(host, port, state)
  const bound = listening.port
  let open = true
  async function close(): Promise<void> {
    if (!open) return
    open = false
    await listening.close()
  }
  t.after(close)
  return {
    ...{ host, port: bound, questions: state.questions },
    address: host.includes(':') ? `[${host}]:${bound}` : `${host}:${bound}`,
    get authenticated() {
      return state.authenticated
    },
    set authenticated(value) {
      state.authenticated = value
    },
    load(text) {
      state.zone = parseZone(text)
    },
    add(text) {
      state.zone = [...state.zone, ...parseZone(text)]
    },
    fault(name, fault) {
      if (fault === null) state.faults.delete(name.toLowerCase())
      else state.faults.set(name.toLowerCase(), fault)
    },
    release() {
      for (const [name, fault] of state.faults) if (fault === 'hold') state.faults.delete(name)
      for (const answer of state.held.splice(0)) answer()
    },
    asked(count) {
      if (state.questions.length >= count) return Promise.resolve(state.questions)
      return new Promise((resolve) => state.waiting.add({ count, resolve: () => resolve(state.questions) }))
    },
    close,
    async reopen() {
      listening = await listen(host, bound, state)
      open = true
    },
  }
}

interface State {
  zone: ZoneRecord[]
  authenticated: boolean
  faults: Map<string, DnsFault>
  questions: DnsQuestion[]
  held: (() => void)[]
  waiting: Set<{ count: number; resolve(): void }>
}

interface Listening {
  port: number
  close(): Promise<void>
}

async function listen(host: string, port: number, state: State): Promise<Listening> {
  for (let attempt = 1; ; attempt++) {
    const udp = createSocket(host.includes(':') ? 'udp6' : 'udp4')
    udp.bind(port, host)
    await once(udp, 'listening')
    const sockets = new Set<Socket>()
    const tcp = createServer((socket) => {
      sockets.add(socket)
      socket.on('close', () => sockets.delete(socket))
      serveTcp(socket, state)
    })
    const bound = udp.address().port
    try {
      tcp.listen(bound, host)
      await once(tcp, 'listening')
    } catch (error) {
      udp.close()
      if (port !== 0 || attempt === PORT_TRIES) throw error
      continue
    }
    serveUdp(udp, state)
    return { port: bound, close: () => closeAll(udp, tcp, sockets) }
  }
}

async function closeAll(udp: UdpSocket, tcp: Server, sockets: ReadonlySet<Socket>): Promise<void> {
  const closed = Promise.all([once(udp, 'close'), once(tcp, 'close')])
  udp.close()
  tcp.close()
  for (const socket of sockets) socket.destroy()
  await closed
}

function serveUdp(udp: UdpSocket, state: State): void {
  let open = true
  udp.on('close', () => (open = false))
  udp.on('message', (question, { address, port }) => {
    answer(question, { over: 'udp', port }, state, (message) => {
      // Its client may have gone, and so may we.
      if (open) udp.send(message, port, address, () => {})
    })
  })
}

function serveTcp(socket: Socket, state: State): void {
  let received = Buffer.alloc(0)
  socket.on('error', () => socket.destroy())
  socket.on('data', (chunk: Buffer) => {
    received = Buffer.concat([received, chunk])
    while (received.length >= 2 && received.length >= 2 + received.readUInt16BE(0)) {
      const end = 2 + received.readUInt16BE(0)
      answer(received.subarray(2, end), { over: 'tcp', port: socket.remotePort ?? 0 }, state, (message) => {
        const length = Buffer.alloc(2)
        length.writeUInt16BE(message.length)
        if (!socket.destroyed) socket.write(Buffer.concat([length, message]))
      })
      received = received.subarray(end)
    }
  })
}

function answer(
  octets: Buffer,
  { over, port }: Pick<DnsQuestion, 'over' | 'port'>,
  state: State,
  send: (message: Buffer) => void,
): void {
  const query = decode(octets)
  const [question] = query.questions ?? []
  if (question === undefined) return
  const name = question.name === '.' ? '' : question.name.toLowerCase()
  const edns = query.additionals?.find((record) => record.type === 'OPT')
  const udpPayloadSize = edns?.type === 'OPT' ? edns.udpPayloadSize : undefined
  state.questions.push({
    ...{ name, type: question.type, over, id: query.id ?? 0, port, udpPayloadSize },
    asksForDnssec: query.flag_ad && edns?.type === 'OPT' && edns.flag_do,
  })
  for (const waiter of state.waiting) {
    if (state.questions.length < waiter.count) continue
    state.waiting.delete(waiter)
    waiter.resolve()
  }

  const space = over === 'tcp' ? Infinity : (udpPayloadSize ?? PLAIN_UDP)
  const full = reply(query, state, lookUpIn(state.zone, question.type, name))
  const plain = full.length > space ? bare(query, 'NOERROR', TRUNCATED_RESPONSE) : full
  const fault = state.faults.get(name) ?? state.faults.get('*')
  if (fault === undefined) return send(plain)
  if (typeof fault === 'object') {
    if ('answer' in fault) return send(fault.answer(plain, octets))
    setTimeout(() => send(plain), fault.delayMs).unref()
    return
  }
  switch (fault) {
    case 'servfail':
      return send(bare(query, 'SERVFAIL'))
    case 'refused':
      return send(bare(query, 'REFUSED'))
    case 'noEdns':
      return send(udpPayloadSize === undefined ? plain : bare(query, 'FORMERR'))
    case 'truncate':
      return send(over === 'udp' ? bare(query, 'NOERROR', TRUNCATED_RESPONSE) : plain)
    case 'wrongId':
      return send(withOtherId(plain))
    case 'wrongQuestion':
      return send(reply({ ...query, questions: [{ ...question, name: 'other.test' }] }, state, lookUpIn([], '', '')))
    case 'garbage':
      return send(Buffer.concat([plain.subarray(0, 4), randomBytes(40)]))
    case 'forged':
      if (over === 'tcp') return send(plain)
      for (let index = 0; index < FORGERIES; index++) send(withOtherId(plain))
      return
    case 'referral': {
      const authorities: ZoneRecord[] = [{ name: 'test', type: 'NS', ttl: 60, data: 'ns.other.test' }]
      return send(reply(query, state, { rcode: 'NOERROR', answers: [], authorities }))
    }
    case 'open': {
      const answers = lookUpIn(state.zone, question.type, name).answers.slice(0, 1)
      return send(reply(query, state, { rcode: 'NOERROR', answers, authorities: [] }))
    }
    case 'hold':
      state.held.push(() => send(plain))
      return
    case 'silent':
      return
  }
}

interface Content {
  rcode: keyof typeof RCODE
  answers: ZoneRecord[]
  authorities: ZoneRecord[]
}

function reply(query: DecodedPacket, { authenticated }: Pick<State, 'authenticated'>, content: Content): Buffer {
  const edns = query.additionals?.some((record) => record.type === 'OPT')
  const root = <T extends { name: string }>(record: T): T => ({ ...record, name: record.name || '.' })
  return encode({
    type: 'response',
    id: query.id ?? 0,
    flags: RECURSION_DESIRED | RECURSION_AVAILABLE | (authenticated ? AUTHENTIC_DATA : 0) | RCODE[content.rcode],
    questions: query.questions ?? [],
    answers: content.answers.map(root),
    authorities: content.authorities.map(root),
    additionals: edns
      ? [
          {
            ...{ type: 'OPT', name: '.', udpPayloadSize: 4096, extendedRcode: 0, ednsVersion: 0 },
            ...{ flags: 0, flag_do: false, options: [] },
          },
        ]
      : [],
  })
}

/** Without records. */
function bare(query: DecodedPacket, rcode: keyof typeof RCODE, flags = 0): Buffer {
  return encode({
    type: 'response',
    id: query.id ?? 0,
    flags: RECURSION_DESIRED | RECURSION_AVAILABLE | flags | RCODE[rcode],
    questions: query.questions ?? [],
  })
}

function withOtherId(message: Buffer): Buffer {
  const other = Buffer.from(message)
  other.writeUInt16BE((message.readUInt16BE(0) + 1) & 0xffff)
  return other
}
