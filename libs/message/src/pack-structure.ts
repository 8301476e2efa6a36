/**
 * The MIME tree as a short string, stored once per message. What it holds is what `unpackStructure` gives back.
 *
 * Invariant: the form never changes meaning. A property may be added; none is taken away or used for something else, because
 * trees written years ago are still read.
 */
import type { AddressGroup, MailboxAddress } from './address.ts'
import type { Addresses, ImapEnvelope } from './envelope.ts'
import type { Parameters } from './parameters.ts'
import type { MessagePart } from './structure.ts'

type PackedMailbox = [
  name: string | null,
  route: string | null,
  local: string | null,
  domain: string | null,
  faults?: number,
]
type PackedGroup = { g: string; m: PackedMailbox[] }
type PackedAddresses = (PackedMailbox | PackedGroup)[]

/** Of an envelope, in the order of ENVELOPE; null where absent. */
type PackedEnvelope = (string | PackedAddresses | null)[]

/** Octets of header and body: a header begins where its tree says, a body where the header ends. */
interface PackedPart {
  /** Start of the header, its length, the body's length, the body's lines. */
  o: [number, number, number, number]
  /** Type, subtype, then names and values of parameters. */
  t?: string[]
  e?: string
  i?: string
  d?: string
  /** Disposition and its parameters. */
  p?: string[]
  l?: string[]
  u?: string
  h?: string
  c?: PackedPart[]
  m?: PackedPart
  v?: PackedEnvelope
}

export function packStructure(root: MessagePart): string {
  return JSON.stringify(pack(root))
}

/** `packed` must come from `packStructure`. */
export function unpackStructure(packed: string): MessagePart {
  // JSON.parse gives any; who wrote it is the contract.
  const root: PackedPart = JSON.parse(packed)
  return unpack(root)
}

/** Trees are as deep as the limit they were read with, so recursion is bounded. */
function pack(part: MessagePart): PackedPart {
  const { header, body, contentType, disposition } = part
  const packed: PackedPart = {
    o: [header.start, header.end - header.start, body.end - body.start, part.bodyLines],
  }
  if (contentType) packed.t = [contentType.type, contentType.subtype, ...contentType.params.flat()]
  if (part.encoding !== undefined) packed.e = part.encoding
  if (part.id !== undefined) packed.i = part.id
  if (part.description !== undefined) packed.d = part.description
  if (disposition) packed.p = [disposition.type, ...disposition.params.flat()]
  if (part.languages) packed.l = part.languages
  if (part.location !== undefined) packed.u = part.location
  if (part.md5 !== undefined) packed.h = part.md5
  if (part.parts) packed.c = part.parts.map(pack)
  if (part.message) packed.m = pack(part.message)
  if (part.envelope) packed.v = packEnvelope(part.envelope)
  return packed
}

function unpack(packed: PackedPart): MessagePart {
  const [start, headerLength, bodyLength, bodyLines] = packed.o
  const bodyStart = start + headerLength
  const part: MessagePart = {
    header: { start, end: bodyStart },
    body: { start: bodyStart, end: bodyStart + bodyLength },
    bodyLines,
  }
  if (packed.t) {
    const [type = '', subtype = '', ...params] = packed.t
    part.contentType = { type, subtype, params: pairs(params) }
  }
  if (packed.e !== undefined) part.encoding = packed.e
  if (packed.i !== undefined) part.id = packed.i
  if (packed.d !== undefined) part.description = packed.d
  if (packed.p) {
    const [type = '', ...params] = packed.p
    part.disposition = { type, params: pairs(params) }
  }
  if (packed.l) part.languages = packed.l
  if (packed.u !== undefined) part.location = packed.u
  if (packed.h !== undefined) part.md5 = packed.h
  if (packed.c) part.parts = packed.c.map(unpack)
  if (packed.m) part.message = unpack(packed.m)
  if (packed.v) part.envelope = unpackEnvelope(packed.v)
  return part
}

function pairs(flat: string[]): Parameters {
  const params: Parameters = []
  for (let at = 0; at < flat.length; at += 2) params.push([flat[at] ?? '', flat[at + 1] ?? ''])
  return params
}

const ADDRESS_FIELDS = ['from', 'sender', 'replyTo', 'to', 'cc', 'bcc'] as const

function packEnvelope(envelope: ImapEnvelope): PackedEnvelope {
  return [
    envelope.date ?? null,
    envelope.subject ?? null,
    ...ADDRESS_FIELDS.map((field) => envelope[field]?.map(packAddress) ?? null),
    envelope.inReplyTo ?? null,
    envelope.messageId ?? null,
  ]
}

function unpackEnvelope(packed: PackedEnvelope): ImapEnvelope {
  const envelope: ImapEnvelope = {}
  const [date, subject] = packed
  const [inReplyTo, messageId] = packed.slice(2 + ADDRESS_FIELDS.length)
  if (typeof date === 'string') envelope.date = date
  if (typeof subject === 'string') envelope.subject = subject
  for (const [index, field] of ADDRESS_FIELDS.entries()) {
    const addresses = packed[2 + index]
    if (Array.isArray(addresses)) envelope[field] = addresses.map(unpackAddress) satisfies Addresses
  }
  if (typeof inReplyTo === 'string') envelope.inReplyTo = inReplyTo
  if (typeof messageId === 'string') envelope.messageId = messageId
  return envelope
}

const SYNTAX_ERROR = 1
const INVALID_ROUTE = 2

function packAddress(address: MailboxAddress | AddressGroup): PackedMailbox | PackedGroup {
  return address.kind === 'mailbox' ? packMailbox(address) : { g: address.name, m: address.members.map(packMailbox) }
}

function packMailbox({ name, route, localPart, domain, syntaxError, invalidRoute }: MailboxAddress): PackedMailbox {
  const packed: PackedMailbox = [name ?? null, route ?? null, localPart ?? null, domain ?? null]
  const faults = (syntaxError ? SYNTAX_ERROR : 0) + (invalidRoute ? INVALID_ROUTE : 0)
  if (faults !== 0) packed.push(faults)
  return packed
}

function unpackAddress(packed: PackedMailbox | PackedGroup): MailboxAddress | AddressGroup {
  return Array.isArray(packed)
    ? unpackMailbox(packed)
    : { kind: 'group', name: packed.g, members: packed.m.map(unpackMailbox) }
}

function unpackMailbox([name, route, localPart, domain, faults = 0]: PackedMailbox): MailboxAddress {
  const address: MailboxAddress = { kind: 'mailbox' }
  if (name !== null) address.name = name
  if (route !== null) address.route = route
  if (localPart !== null) address.localPart = localPart
  if (domain !== null) address.domain = domain
  if (faults & SYNTAX_ERROR) address.syntaxError = true
  if (faults & INVALID_ROUTE) address.invalidRoute = true
  return address
}
