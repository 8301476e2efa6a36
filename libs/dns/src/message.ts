/**
 * Questions to octets, and octets to answers. What comes back is hostile until read: every length is checked here before
 * dns-packet sees the record, no record is read past its own data, and both their number and the work are bounded by the message.
 *
 * STANDARDS  RFC 1035 §4.1 (format), §4.1.4 (compression); RFC 6891 §6.1 (EDNS, payload size); RFC 4035 §3.2.1, RFC 6840 §5.7 (DO, AD)
 */
import { Buffer } from 'node:buffer'

import { AUTHENTIC_DATA, DNSSEC_OK, encode, name as nameCodec, RECURSION_DESIRED, soa as soaCodec } from 'dns-packet'

import { MalformedMessage } from './errors.ts'
import { receivedName } from './names.ts'
import { readers, type Records, type RecordType } from './records.ts'

export interface Question {
  type: RecordType
  /** As `normalName` makes it. */
  name: string
}

/** Records that were asked for, or that lead to them. */
export interface ResourceRecord<T extends RecordType = RecordType> {
  name: string
  /** Seconds. */
  ttl: number
  data: Records[T]
}

export interface Response<T extends RecordType = RecordType> {
  /** NOERROR, NXDOMAIN, SERVFAIL, … */
  rcode: string
  /** Length of the whole message. */
  octets: number
  truncated: boolean
  authoritative: boolean
  /** It asks others, or says that it would. */
  recursive: boolean
  /** The server says that it validated all of this — RFC 4035 §3.2.3. */
  authenticated: boolean
  /** Of the answer section: those of the type asked for, and aliases. Others are left unread. */
  records: ResourceRecord<T>[]
  aliases: ResourceRecord<'CNAME'>[]
  /** The SOA that came with a negative answer: its zone, and how long "no" may be believed (seconds) — RFC 2308 §5. */
  soa: { zone: string; ttl: number } | null
  /** The authority section names servers: without an answer and SOA this is a referral — RFC 2308 §2.2. */
  delegates: boolean
}

/** What fits through almost every path in one piece: 1280 less the headers of IPv6 and UDP — RFC 6891 §6.2.5. */
export const UDP_PAYLOAD = 1232

const HEADER = 12
/** More records than these in one message are nobody's mail. */
const MAX_RECORDS = 1000
const CLASS_IN = 1
const TYPE_SOA = 6
const TYPE_NS = 2
const TYPE_OPT = 41
/** RFC 2181 §8: a TTL with its highest bit set counts as 0. */
const MAX_TTL = 0x7fff_ffff

const RCODES: Readonly<Record<number, string>> = {
  ...{ 0: 'NOERROR', 1: 'FORMERR', 2: 'SERVFAIL', 3: 'NXDOMAIN', 4: 'NOTIMP', 5: 'REFUSED' },
  ...{ 6: 'YXDOMAIN', 7: 'YXRRSET', 8: 'NXRRSET', 9: 'NOTAUTH', 10: 'NOTZONE', 16: 'BADVERS', 23: 'BADCOOKIE' },
}

/** @param edns without it: for servers that answer FORMERR to it, RFC 6891 §7 */
export function encodeQuestion(id: number, { type, name }: Question, edns: boolean): Buffer {
  const opt = { type: 'OPT', name: '.', udpPayloadSize: UDP_PAYLOAD, flags: DNSSEC_OK } as const
  return encode({
    type: 'query',
    id,
    // RFC 6840 §5.7: AD in a question asks for AD in the answer.
    flags: RECURSION_DESIRED | AUTHENTIC_DATA,
    questions: [{ type, name }],
    additionals: edns ? [{ ...opt, extendedRcode: 0, ednsVersion: 0, flag_do: true, options: [] }] : [],
  })
}

/** The id of a message, and whether it is a response at all. Null when it is too short to say. */
export function responseId(message: Buffer): number | null {
  if (message.length < HEADER || (message.readUInt16BE(2) & 0x8000) === 0) return null
  return message.readUInt16BE(0)
}

/**
 * @param message one whose id has been found to be the question's
 * @returns null when it answers another question than this
 * @throws MalformedMessage
 */
export function decodeResponse<T extends RecordType>(
  message: Buffer,
  question: Question & { type: T },
): Response<T> | null {
  try {
    return read(message, question)
  } catch (error) {
    if (error instanceof MalformedMessage) throw error
    throw new MalformedMessage(error instanceof Error ? error.message : 'not DNS', { cause: error })
  }
}

function read<T extends RecordType>(message: Buffer, question: Question & { type: T }): Response<T> | null {
  const flags = message.readUInt16BE(2)
  const [questions, answers, authorities, additionals] = [4, 6, 8, 10].map((at) => message.readUInt16BE(at))
  if (answers === undefined || authorities === undefined || additionals === undefined) return null
  if (answers + authorities + additionals > MAX_RECORDS) throw new MalformedMessage('too many records')
  const response: Response<T> = {
    rcode: rcodeOf(flags & 0xf),
    octets: message.length,
    truncated: (flags & 0x0200) !== 0,
    authoritative: (flags & 0x0400) !== 0,
    recursive: (flags & 0x0080) !== 0,
    authenticated: (flags & 0x0020) !== 0,
    ...{ records: [], aliases: [], soa: null, delegates: false },
  }
  // Who cannot read a question may send it back or not; an error without one is still an error.
  if (questions === 0 && (flags & 0xf) !== 0 && answers === 0) return response
  if (questions !== 1) return null
  let at = HEADER
  const asked = receivedName(nameCodec.decode(message, at))
  at += nameCodec.decode.bytes
  const { code } = readers[question.type]
  if (asked !== question.name || message.readUInt16BE(at) !== code || message.readUInt16BE(at + 2) !== CLASS_IN)
    return null
  at += 4
  // What did not fit was cut off anywhere: it is asked again over TCP.
  if (response.truncated) return response

  for (let index = 0; index < answers + authorities + additionals; index++) {
    const record = frame(message, at)
    at = record.end
    const inAnswer = index < answers
    const inAuthority = !inAnswer && index < answers + authorities
    if (record.type === TYPE_OPT && !inAnswer && !inAuthority)
      // The upper eight bits of the code stand where a TTL would — RFC 6891 §6.1.3.
      response.rcode = rcodeOf(((record.rawTtl >>> 24) << 4) | (flags & 0xf))
    if (record.class !== CLASS_IN) continue
    const { name, ttl } = record
    const window = message.subarray(0, record.end)
    if (inAnswer && record.type === code)
      response.records.push({ name, ttl, data: readers[question.type].read(window, record.dataLength) })
    else if (inAnswer && record.type === readers.CNAME.code)
      response.aliases.push({ name, ttl, data: readers.CNAME.read(window, record.dataLength) })
    else if (inAuthority && record.type === TYPE_NS) response.delegates = true
    else if (inAuthority && record.type === TYPE_SOA) {
      const { minimum } = soaCodec.decode(window, record.dataLength)
      response.soa = { zone: name, ttl: Math.min(ttl, bounded(minimum)) }
    }
  }
  return response
}

interface Frame {
  name: string
  type: number
  class: number
  ttl: number
  rawTtl: number
  /** Where the length of the data stands. */
  dataLength: number
  /** Behind the data. */
  end: number
}

/** Where a record begins and ends, and whose it is. @throws RangeError when it does not fit into the message */
function frame(message: Buffer, start: number): Frame {
  const name = receivedName(nameCodec.decode(message, start))
  const at = start + nameCodec.decode.bytes
  const rawTtl = message.readUInt32BE(at + 4)
  const end = at + 10 + message.readUInt16BE(at + 8)
  if (end > message.length) throw new MalformedMessage('a record longer than the message')
  return {
    ...{ name, type: message.readUInt16BE(at), class: message.readUInt16BE(at + 2) },
    ...{ ttl: bounded(rawTtl), rawTtl, dataLength: at + 8, end },
  }
}

const bounded = (ttl: number): number => (ttl > MAX_TTL ? 0 : ttl)

const rcodeOf = (code: number): string => RCODES[code] ?? `RCODE${code}`
