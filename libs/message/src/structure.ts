/**
 * The MIME tree of a message with the octet range of every part: computed once, stored beside the message, enough to
 * answer BODYSTRUCTURE and to cut any BODY[section] out of the original octets.
 *
 * All strings are octet strings (see octets.ts). The tree is plain JSON; absent properties are absent, so it stays small.
 *
 * STANDARDS  RFC 2045, 2046, 2183, 2231; RFC 9051 §6.4.5, §7.5.2
 */
import type { ImapEnvelope } from './envelope.ts'
import type { Disposition, Parameters } from './parameters.ts'

/** Octets `start` up to, not including, `end`, from the start of the message. */
export interface Range {
  start: number
  end: number
}

export interface MessagePart {
  /** Absent where the part does not say or is not MIME: then it is text/plain, or message/rfc822 in a digest. */
  contentType?: { type: string; subtype: string; params: Parameters }
  /** Content-Transfer-Encoding as written; absent is 7bit — RFC 2045 §6.1. */
  encoding?: string
  id?: string
  description?: string
  disposition?: Disposition
  languages?: string[]
  location?: string
  md5?: string
  /** The header, with the empty line that ends it if there is one. A MIME header; of a message, its header. */
  header: Range
  body: Range
  /** Line feeds in the body. */
  bodyLines: number
  /** Of a multipart: its parts. Empty if it holds none. */
  parts?: MessagePart[]
  /** Of message/rfc822 and message/global: the message in it. */
  message?: MessagePart
  /** Of a message, that is the root and each `message`. */
  envelope?: ImapEnvelope
}

/** What a part is, with the defaults of RFC 2045 §5.2 and RFC 2046 §5.1.5, in lower case. */
export function mediaTypeOf(part: MessagePart): { type: string; subtype: string } {
  if (part.contentType === undefined) {
    return part.message === undefined ? { type: 'text', subtype: 'plain' } : { type: 'message', subtype: 'rfc822' }
  }
  return { type: part.contentType.type.toLowerCase(), subtype: part.contentType.subtype.toLowerCase() }
}

export function sizeOf(range: Range): number {
  return range.end - range.start
}

/** Every part of the tree in the order of the message, the root first. */
export function* walkParts(root: MessagePart): Generator<MessagePart> {
  const stack = [root]
  for (let part = stack.pop(); part !== undefined; part = stack.pop()) {
    yield part
    if (part.message !== undefined) stack.push(part.message)
    else if (part.parts !== undefined) stack.push(...part.parts.toReversed())
  }
}
