/**
 * ENVELOPE, BODY and BODYSTRUCTURE on the wire.
 *
 * The result is an octet string: one character (U+0000–U+00FF) per octet to send. It travels in JSON unharmed, whatever
 * octets the header held, and is put on the wire with `Buffer.from(wire, 'latin1')`; literal lengths count its characters,
 * which are octets. Octets above 0x7f are sent as literals, as the message had them: a header in raw UTF-8 or Latin-1
 * reaches the client as it is. NUL, which no IMAP string may hold, becomes U+FFFD in UTF-8.
 *
 * Where the RFC leaves a choice (quoted or literal, what stands for a missing half of an address), the answer is Dovecot's.
 *
 * STANDARDS  RFC 9051 §4.3, §7.5.2, §9; RFC 3501 §7.4.2
 */
import {
  type AddressGroup,
  type Addresses,
  type Disposition,
  type ImapEnvelope,
  type MailboxAddress,
  mediaTypeOf,
  type MessagePart,
  type Parameters,
  sizeOf,
  shownAddress,
} from '@postbus/message'

export interface BodyStructureOptions {
  /** BODYSTRUCTURE; otherwise BODY, which has no extension data. */
  extended: boolean
}

/** More characters to escape than this, and a literal is shorter and plainer. */
const MAX_ESCAPES = 4

export function encodeEnvelope(envelope: ImapEnvelope): string {
  const from = envelope.from
  return `(${[
    nstring(unfolded(envelope.date)),
    envelope.subject === undefined ? 'NIL' : humanString(envelope.subject),
    addressList(from),
    // RFC 9051 §7.5.2: absent or empty Sender and Reply-To are filled from From by the server.
    addressList(envelope.sender ?? from),
    addressList(envelope.replyTo ?? from),
    addressList(envelope.to),
    addressList(envelope.cc),
    addressList(envelope.bcc),
    nstring(unfolded(envelope.inReplyTo)),
    nstring(unfolded(envelope.messageId)),
  ].join(' ')})`
}

export function encodeBodyStructure(root: MessagePart, options: BodyStructureOptions): string {
  const out: string[] = []
  // An explicit stack: the tree may be as deep as its limit says, and this must not be another.
  const todo: (MessagePart | string)[] = [root]
  for (let next = todo.pop(); next !== undefined; next = todo.pop()) {
    if (typeof next === 'string') out.push(next)
    else todo.push(...pieces(next, options).reverse())
  }
  return out.join('')
}

/** A part as text and the parts inside it, in order. */
function pieces(part: MessagePart, options: BodyStructureOptions): (MessagePart | string)[] {
  if (part.parts !== undefined) return multipart(part, part.parts, options)
  const { type, subtype } = mediaTypeOf(part)
  const nested = part.message
  // RFC 3501 §9 knows this form of message/rfc822 alone; others are shown like parts without an inside, as in Dovecot.
  if (nested !== undefined && subtype === 'rfc822') {
    const head = `(${string('message')} ${string(subtype)} ${bodyFields(part, part.contentType?.params ?? [])}`
    const envelope = encodeEnvelope(nested.envelope ?? {})
    return [`${head} ${envelope} `, nested, ` ${part.bodyLines}${extension(part, options)})`]
  }
  const lines = type === 'text' ? ` ${part.bodyLines}` : ''
  return [`(${mediaType(part, type, subtype)}${lines}${extension(part, options)})`]
}

function multipart(part: MessagePart, parts: MessagePart[], options: BodyStructureOptions): (MessagePart | string)[] {
  const { contentType } = part
  const tail = [` ${string(contentType?.subtype ?? 'mixed')}`]
  if (options.extended) tail.push(` ${parameters(contentType?.params ?? [])}${commonExtension(part)}`)
  // The grammar wants at least one part — RFC 9051 §9, body-type-mpart.
  if (parts.length === 0) {
    const nothing = `("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0${options.extended ? ' NIL NIL NIL NIL' : ''})`
    return [`(${nothing}${tail.join('')})`]
  }
  return ['(', ...parts, `${tail.join('')})`]
}

/** Type, subtype and the basic fields of a part that holds no other. */
function mediaType(part: MessagePart, type: string, subtype: string): string {
  const params = part.contentType?.params ?? []
  // A container whose inside was not read, because the tree is at its limit, must not be taken for an empty one.
  if (type === 'multipart' || (type === 'message' && subtype === 'rfc822' && part.message === undefined)) {
    return `"application" "octet-stream" ${bodyFields(part, params)}`
  }
  const { type: spelt, subtype: speltSub } = part.contentType ?? { type, subtype }
  const charset: Parameters = type === 'text' && !params.some(isCharset) ? [['charset', 'us-ascii']] : []
  return `${string(spelt)} ${string(speltSub)} ${bodyFields(part, [...params, ...charset])}`
}

function isCharset([name]: [string, string]): boolean {
  return name.toLowerCase() === 'charset'
}

function bodyFields(part: MessagePart, params: Parameters): string {
  const encoding = string(part.encoding ?? '7bit')
  const fields = [parameters(params), nstring(unfolded(part.id)), nstring(unfolded(part.description)), encoding]
  return `${fields.join(' ')} ${sizeOf(part.body)}`
}

function extension(part: MessagePart, options: BodyStructureOptions): string {
  return options.extended ? ` ${nstring(unfolded(part.md5))}${commonExtension(part)}` : ''
}

function commonExtension(part: MessagePart): string {
  const languages = part.languages === undefined ? 'NIL' : `(${part.languages.map(string).join(' ')})`
  return ` ${disposition(part.disposition)} ${languages} ${nstring(unfolded(part.location))}`
}

function disposition(value: Disposition | undefined): string {
  return value === undefined ? 'NIL' : `(${string(value.type)} ${parameters(value.params)})`
}

function parameters(params: Parameters): string {
  if (params.length === 0) return 'NIL'
  return `(${params.map(([name, value]) => `${string(name)} ${string(value)}`).join(' ')})`
}

function addressList(addresses: Addresses | undefined): string {
  return addresses === undefined || addresses.length === 0 ? 'NIL' : `(${addresses.map(address).join('')})`
}

/** A group is a start (no host), its members, and an end (all NIL) — RFC 9051 §7.5.2. */
function address(value: MailboxAddress | AddressGroup): string {
  if (value.kind === 'mailbox') return mailbox(value)
  return `(NIL NIL ${string(value.name)} NIL)${value.members.map(mailbox).join('')}(NIL NIL NIL NIL)`
}

/** Neither half may be NIL, or the address would read as the mark of a group. */
function mailbox(value: MailboxAddress): string {
  const { route, localPart, domain } = shownAddress(value)
  const name = value.name === undefined ? 'NIL' : humanString(value.name)
  return `(${[name, nstring(route), string(localPart), string(domain)].join(' ')})`
}

/** A lone CR or LF left by unfolding says nothing, but would force a literal that a client shows on two lines. */
function unfolded(value: string | undefined): string | undefined {
  return value?.replaceAll(/[\r\n]/g, ' ')
}

function nstring(value: string | undefined): string {
  return value === undefined ? 'NIL' : string(value)
}

function string(value: string): string {
  const text = withoutNul(value)
  if (!isQuotable(text)) return literal(text)
  const escaped = text.replaceAll(/["\\]/g, '\\$&')
  return escaped.length - text.length > MAX_ESCAPES ? literal(text) : `"${escaped}"`
}

/** For subjects and names: runs of blanks become one. Quoted only if it then is exactly what the header said. */
function humanString(value: string): string {
  const text = withoutNul(value)
  const plain = text.replaceAll(/[ \t\r\n]+/g, ' ').replaceAll(/^ | $/g, '')
  return plain === '' || (plain === text && isQuotable(plain) && !/["\\]/.test(plain)) ? `"${plain}"` : literal(plain)
}

function withoutNul(value: string): string {
  return value.replaceAll('\0', '\xef\xbf\xbd')
}

/** RFC 9051 §9: QUOTED-CHAR is TEXT-CHAR, so no CR, LF or octet above 0x7f. */
function isQuotable(text: string): boolean {
  return !/[\r\n\x80-\xff]/.test(text)
}

function literal(text: string): string {
  return `{${text.length}}\r\n${text}`
}
