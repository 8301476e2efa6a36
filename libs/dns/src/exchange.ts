/**
 * One question to one server: over UDP, and over TCP when the answer did not fit or somebody seems to be guessing.
 *
 * An answer counts only if it comes from the server asked, to the port it was asked from, with the id and the question that
 * were sent; port and id are random for each. Whatever else arrives is passed over, a bounded number of times.
 *
 * STANDARDS  RFC 5452 §9 (matching, random ports and ids), RFC 7766 (TCP), RFC 6891 §7 (servers without EDNS)
 */
import { Buffer } from 'node:buffer'
import { randomInt } from 'node:crypto'
import { createSocket } from 'node:dgram'
import { connect, isIPv6 } from 'node:net'

import { MalformedMessage } from './errors.ts'
import { decodeResponse, encodeQuestion, type Question, type Response, responseId } from './message.ts'
import type { RecordType } from './records.ts'
import type { Server } from './server-list.ts'

/** No usable answer from this server: `timeout`, `malformed`, `closed`, or a system's code. */
export class NoAnswer extends Error {
  override readonly name = 'NoAnswer'
  readonly reason: string

  constructor(reason: string, options?: ErrorOptions) {
    super(reason, options)
    this.reason = reason
  }
}

/** Datagrams that answer something else, before TCP is asked instead: they cannot be forged blindly there. */
const MAX_STRAY = 16
/** RFC 1035 §4.2.2: a length of two octets, then so much. */
const MAX_TCP = 65_535

/** @throws NoAnswer when the whole of it takes longer than `timeoutMs`, or at once when `signal` says so */
export async function exchange<T extends RecordType>(
  server: Server,
  question: Question & { type: T },
  { timeoutMs, signal }: { timeoutMs: number; signal: AbortSignal },
): Promise<Response<T>> {
  const over = new AbortController()
  const timer = setTimeout(() => over.abort(new NoAnswer('timeout')), timeoutMs)
  const close = (): void => over.abort(new NoAnswer('closed'))
  signal.addEventListener('abort', close)
  if (signal.aborted) close()
  try {
    const response = await ask(server, question, true, over.signal)
    // RFC 6891 §7: a server from before EDNS says so by either of these.
    if (response.rcode !== 'FORMERR' && response.rcode !== 'NOTIMP') return response
    return await ask(server, question, false, over.signal)
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', close)
  }
}

async function ask<T extends RecordType>(
  server: Server,
  question: Question & { type: T },
  edns: boolean,
  over: AbortSignal,
): Promise<Response<T>> {
  const overUdp = await until<Response<T> | 'use TCP'>(over, (settle, ended) =>
    udp(server, question, edns, settle, ended),
  )
  if (overUdp !== 'use TCP') return overUdp
  return until<Response<T>>(over, (settle, ended) => tcp(server, question, edns, settle, ended))
}

interface Settle<Result> {
  resolve(result: Result): void
  reject(error: unknown): void
}

/** Runs `start` until it settles or all is over; what it gives to `ended` then frees what it holds, in every case. */
async function until<Result>(
  over: AbortSignal,
  start: (settle: Settle<Result>, ended: (free: () => void) => void) => void,
): Promise<Result> {
  over.throwIfAborted()
  const { promise, resolve, reject } = Promise.withResolvers<Result>()
  const abort = (): void => reject(over.reason)
  over.addEventListener('abort', abort)
  const frees = [() => over.removeEventListener('abort', abort)]
  try {
    start({ resolve, reject }, (free) => frees.push(free))
    return await promise
  } finally {
    for (const free of frees) free()
  }
}

const failed = (error: Error): NoAnswer =>
  new NoAnswer('code' in error && typeof error.code === 'string' ? error.code : 'error', { cause: error })

const newId = (): number => randomInt(0x1_0000)

function udp<T extends RecordType>(
  { address, port }: Server,
  question: Question & { type: T },
  edns: boolean,
  { resolve, reject }: Settle<Response<T> | 'use TCP'>,
  ended: (free: () => void) => void,
): void {
  const id = newId()
  let strays = 0
  const stray = (): void => {
    if (++strays >= MAX_STRAY) resolve('use TCP')
  }
  const socket = createSocket(isIPv6(address.replace(/%.*$/, '')) ? 'udp6' : 'udp4')
  ended(() => socket.close())
  socket.on('error', (error) => reject(failed(error)))
  socket.on('message', (datagram) => {
    if (responseId(datagram) !== id) return stray()
    try {
      const response = decodeResponse(datagram, question)
      if (response === null) return stray()
      resolve(response.truncated ? 'use TCP' : response)
    } catch (error) {
      reject(new NoAnswer('malformed', { cause: error }))
    }
  })
  // Connected: only this server's datagrams get in, and a port where nobody listens is heard of. Never bound before, so
  // that the system picks a port at random.
  socket.connect(port, address, (error?: Error) => {
    if (error) reject(failed(error))
    else socket.send(encodeQuestion(id, question, edns), (err) => err && reject(failed(err)))
  })
}

function tcp<T extends RecordType>(
  { address, port }: Server,
  question: Question & { type: T },
  edns: boolean,
  { resolve, reject }: Settle<Response<T>>,
  ended: (free: () => void) => void,
): void {
  const id = newId()
  let received = Buffer.alloc(0)
  const socket = connect({ host: address, port })
  ended(() => socket.destroy())
  socket.on('error', (error) => reject(failed(error)))
  socket.on('close', () => reject(new NoAnswer('connection closed')))
  socket.on('connect', () => {
    const message = encodeQuestion(id, question, edns)
    const length = Buffer.alloc(2)
    length.writeUInt16BE(message.length)
    // RFC 7766 §8: length and message in one piece.
    socket.write(Buffer.concat([length, message]))
  })
  socket.on('data', (chunk: Buffer) => {
    received = Buffer.concat([received, chunk.subarray(0, MAX_TCP + 2 - received.length)])
    if (received.length < 2) return
    const end = 2 + received.readUInt16BE(0)
    if (received.length < end) return
    const message = received.subarray(2, end)
    try {
      const response = responseId(message) === id ? decodeResponse(message, question) : null
      if (response === null || response.truncated) throw new MalformedMessage('not the answer to our question')
      resolve(response)
    } catch (error) {
      reject(new NoAnswer('malformed', { cause: error }))
    }
  })
}
