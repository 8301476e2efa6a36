/**
 * Reads a whole report that came in: what became of which recipient, and which message it is about. Total, like everything
 * that reads what others wrote: what is no report gives undefined, and a message that was cut off gives what is there.
 *
 * STANDARDS  RFC 6522 §3 (the parts); RFC 3464 §2; RFC 5321 §4.4 (Received)
 */
import {
  decodeTransfer,
  headerEnd,
  mediaTypeOf,
  type MessagePart,
  parseHeader,
  parseMessageIds,
  parseStructureOf,
} from '@postbus/message'

import { type DeliveryStatus, findDeliveryStatus, parseDeliveryStatus } from './parse-report.ts'

export interface ReceivedReport {
  status: DeliveryStatus
  /** From the returned message or its header. */
  original: ReturnedHeader
}

export interface ReturnedHeader {
  /** With its angle brackets. */
  messageId?: string
  /** What servers on its way called it: the `id` clauses of its Received fields, the latest first. */
  receivedIds: string[]
}

/** Parts of a report that are looked at; RFC 6522 §3 knows three. */
const MAX_PARTS = 50
const MAX_DEPTH = 4
/** Octets of a returned header that are looked at. */
const MAX_HEADER = 256 * 1024
const MAX_IDS = 100

export function readReport(octets: Buffer): ReceivedReport | undefined {
  const root = parseStructureOf(octets, { parts: MAX_PARTS, depth: MAX_DEPTH, headerBytes: MAX_HEADER })
  const part = findDeliveryStatus(root)
  const status = part && parseDeliveryStatus(bodyOf(octets, part))
  if (!status) return undefined
  const { parts = [] } = root
  // The third by RFC 6522 §3; what stands in front of the status may be anything.
  const behind = parts.slice(parts.indexOf(part) + 1)
  const returned = behind.find(isReturned) ?? parts.find((candidate) => candidate !== part && isReturned(candidate))
  return { status, original: returned ? headerOf(bodyOf(octets, returned)) : { receivedIds: [] } }
}

const bodyOf = (octets: Buffer, { body, encoding }: MessagePart): Buffer =>
  decodeTransfer(octets.subarray(body.start, body.end), encoding)

/** RFC 6522 §3, RFC 6533 §4; some return a header as a message. */
function isReturned(part: MessagePart): boolean {
  const { type, subtype } = mediaTypeOf(part)
  return RETURNED.has(`${type}/${subtype}`)
}

const RETURNED = new Set([
  'message/rfc822',
  'message/global',
  'text/rfc822-headers',
  'message/rfc822-headers',
  'message/global-headers',
])

function headerOf(body: Buffer): ReturnedHeader {
  const bounded = body.subarray(0, MAX_HEADER)
  const end = headerEnd(bounded)
  const returned: ReturnedHeader = { receivedIds: [] }
  for (const { name, value } of parseHeader(end < 0 ? bounded : bounded.subarray(0, end))) {
    const field = name.toLowerCase()
    if (field === 'message-id' && returned.messageId === undefined) {
      const [messageId] = parseMessageIds(value)
      if (messageId !== undefined) returned.messageId = messageId
    } else if (field === 'received' && returned.receivedIds.length < MAX_IDS) {
      const id = /(?:^|\s)id\s+<?([^\s;<>()]+)/i.exec(value)?.[1]
      if (id !== undefined) returned.receivedIds.push(id)
    }
  }
  return returned
}
