/**
 * The PROXY protocol, versions 1 and 2: who the client is when a balancer stands in front of us.
 *
 * Only a trusted peer may say so, and a trusted peer must say so: a connection from it without a valid header is refused,
 * because guessing would let clients choose their own address.
 *
 * STANDARDS  haproxy.org/download/3.2/doc/proxy-protocol.txt
 */
import { isIP, type Socket } from 'node:net'

import { plainAddress } from './networks.ts'

/** Who connected; null when the balancer speaks for itself (health checks). */
export type ProxySource = { address: string; port: number } | null

type Parsed =
  { kind: 'incomplete' } | { kind: 'invalid'; reason: string } | { kind: 'header'; length: number; source: ProxySource }

const V2_SIGNATURE = Buffer.from([0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a])
const V1_PREFIX = Buffer.from('PROXY ')
/** Section 2.1: the longest line, CRLF included. */
const V1_MAX_LENGTH = 107
/** Addresses and their additional fields; balancers send some hundred octets at most. */
const V2_MAX_LENGTH = 4096

const PORT = /^(?:0|[1-9][0-9]{0,4})$/

export function parseProxyHeader(bytes: Buffer): Parsed {
  if (startsAlike(bytes, V2_SIGNATURE)) return parseV2(bytes)
  if (startsAlike(bytes, V1_PREFIX)) return parseV1(bytes)
  return { kind: 'invalid', reason: 'no PROXY header' }
}

/** What is there of `prefix` agrees with it. */
function startsAlike(bytes: Buffer, prefix: Buffer): boolean {
  const length = Math.min(bytes.length, prefix.length)
  return bytes.subarray(0, length).equals(prefix.subarray(0, length))
}

function parseV1(bytes: Buffer): Parsed {
  const end = bytes.subarray(0, V1_MAX_LENGTH).indexOf('\r\n')
  if (end < 0) {
    return bytes.length < V1_MAX_LENGTH ? { kind: 'incomplete' } : { kind: 'invalid', reason: 'header line too long' }
  }
  const length = end + 2
  const [, family, source = '', destination = '', port = '', ...rest] = bytes.toString('latin1', 0, end).split(' ')
  if (family === 'UNKNOWN') return { kind: 'header', length, source: null }
  const version = family === 'TCP4' ? 4 : family === 'TCP6' ? 6 : null
  const valid = isIP(source) === version && isIP(destination) === version && PORT.test(port) && rest.length === 1
  if (!valid || Number(port) > 65_535) return { kind: 'invalid', reason: 'malformed header line' }
  return { kind: 'header', length, source: { address: plainAddress(source), port: Number(port) } }
}

function parseV2(bytes: Buffer): Parsed {
  if (bytes.length < 16) return { kind: 'incomplete' }
  const version = bytes.readUInt8(12) >> 4
  const command = bytes.readUInt8(12) & 0x0f
  const family = bytes.readUInt8(13)
  const size = bytes.readUInt16BE(14)
  if (version !== 2 || command > 1) return { kind: 'invalid', reason: 'unknown version or command' }
  if (size > V2_MAX_LENGTH) return { kind: 'invalid', reason: 'header too long' }
  const length = 16 + size
  if (bytes.length < length) return { kind: 'incomplete' }
  // LOCAL, or a family that has no network address: the connection stands for itself.
  if (command === 0 || (family !== 0x11 && family !== 0x21)) return { kind: 'header', length, source: null }
  const octets = family === 0x11 ? 4 : 16
  if (size < 2 * octets + 4) return { kind: 'invalid', reason: 'addresses cut short' }
  const address = octets === 4 ? [...bytes.subarray(16, 20)].join('.') : ipv6(bytes.subarray(16, 32))
  return { kind: 'header', length, source: { address, port: bytes.readUInt16BE(16 + 2 * octets) } }
}

function ipv6(octets: Buffer): string {
  const groups = Array.from({ length: 8 }, (_, index) => octets.readUInt16BE(index * 2).toString(16))
  return plainAddress(
    new URL(`http://[${groups.join(':')}]`).hostname.slice(1, -1).replace(/^::ffff:(\w+):(\w+)$/, mapped),
  )
}

/** `::ffff:c000:201` as `::ffff:192.0.2.1`. */
function mapped(_: string, high: string, low: string): string {
  const value = [Number.parseInt(high, 16), Number.parseInt(low, 16)]
  return `::ffff:${value.flatMap((word) => [word >> 8, word & 0xff]).join('.')}`
}

/**
 * Reads the header off a fresh socket and leaves what follows it unread.
 * @throws when it is malformed or the connection ends before it is whole; how long it may take is the caller's business
 */
export function readProxyHeader(socket: Socket): Promise<ProxySource> {
  const { promise, resolve, reject } = Promise.withResolvers<ProxySource>()
  let bytes: Buffer = Buffer.alloc(0)
  const read = (): void => {
    for (;;) {
      const chunk: Buffer | null = socket.read()
      if (chunk === null) return
      bytes = bytes.length === 0 ? chunk : Buffer.concat([bytes, chunk])
      const parsed = parseProxyHeader(bytes)
      if (parsed.kind === 'incomplete') continue
      if (parsed.kind === 'invalid') return reject(new Error(`PROXY header refused: ${parsed.reason}`))
      stop()
      if (bytes.length > parsed.length) socket.unshift(bytes.subarray(parsed.length))
      return resolve(parsed.source)
    }
  }
  const gone = (): void => reject(new Error('connection ended before its PROXY header'))
  const stop = (): void => {
    socket.off('readable', read)
    for (const event of ['error', 'close', 'end']) socket.off(event, gone)
  }
  socket.on('readable', read)
  for (const event of ['error', 'close', 'end']) socket.on(event, gone)
  return promise.catch((cause: unknown) => {
    stop()
    throw cause
  })
}
