/**
 * The original message, or its header, as the last part of a report: cut and encoded as the octets pass by.
 *
 * STANDARDS  RFC 6522 §3 (third part); RFC 3461 §4.3 (RET), §6.2
 */
import { headerEnd } from '@postbus/message'
import libbase64 from 'libbase64'

type Octets = AsyncIterable<Uint8Array> | Iterable<Uint8Array>

const LF = 0x0a
const CR = 0x0d

/** The header without its empty line: at most `limit` octets, cut after a whole line. The rest of the message is not read. */
export async function readHeader(message: Octets, limit: number): Promise<Buffer> {
  const head = Buffer.allocUnsafe(limit)
  let length = 0
  let lineStart = 0
  for await (const chunk of message) {
    const before = length
    length += Buffer.from(chunk).copy(head, length)
    const end = headerEnd(head.subarray(0, length), lineStart)
    if (end >= 0) return head.subarray(0, head[end - 2] === CR ? end - 2 : end - 1)
    const lf = head.subarray(before, length).lastIndexOf(LF)
    if (lf >= 0) lineStart = before + lf + 1
    if (length === limit) return head.subarray(0, lineStart)
  }
  return head.subarray(0, length)
}

/** Octets that make lines of 76 letters: RFC 2045 §6.8. */
const BASE64_LINE = 57

export async function* inBase64(octets: Octets): AsyncGenerator<Buffer> {
  let rest = Buffer.alloc(0)
  for await (const chunk of octets) {
    const data = Buffer.concat([rest, chunk])
    const whole = data.length - (data.length % BASE64_LINE)
    if (whole > 0) yield base64Lines(data.subarray(0, whole))
    rest = data.subarray(whole)
  }
  if (rest.length > 0) yield base64Lines(rest)
}

export function base64Lines(data: Buffer): Buffer {
  return Buffer.from(`${libbase64.wrap(libbase64.encode(data), 76)}\r\n`, 'latin1')
}
