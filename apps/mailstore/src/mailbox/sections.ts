/**
 * BODY[section] out of a stored message, by the offsets worked out when it came. The message is the fields put in front at
 * delivery, then the content; offsets of the structure are the content's.
 *
 * STANDARDS  RFC 9051 §6.4.5 (BODY[section]<partial>, BINARY); RFC 3516; RFC 8970 (PREVIEW)
 */
import { MAX_INLINE_BYTES, type Section, type SectionBytes } from '@postbus/contracts'
import {
  decodingBy,
  encodedPart,
  fieldCutter,
  type MessagePart,
  previewSource,
  previewText,
  type Range,
  sectionRange,
  selectFields,
  transferDecoder,
  unpackStructure,
} from '@postbus/message'

export interface HeldContent {
  prefix: Uint8Array
  size: number
  headerSize: number
  /** As libs/message packs it. */
  structure: string
  /** As much of the header as is held beside the structure. */
  header: Uint8Array
  blob: { key: string; offset: number } | null
  /** Octets `[start, end)` of the content; perhaps a view of what is held. */
  read(start: number, end: number): Promise<Uint8Array>
  /** All of it, for one pass. */
  octets(): AsyncIterable<Uint8Array>
}

/** Fields are looked for in so much of a header: as much as libs/message looks at. A longer one is hostile. */
export const MAX_HEADER_BYTES = 1024 * 1024

interface Cut {
  sections: SectionBytes[]
  /** Of each section that is inline and each lead, in order: its octets, in pieces. */
  bytes: (readonly Uint8Array[])[]
}

/** Whether a section needs more than the message's own header. */
export function reachesBody({ part, kind }: Section): boolean {
  return part !== '' || kind === 'all' || kind === 'text'
}

export async function cutSections(content: HeldContent, sections: readonly Section[]): Promise<Cut> {
  const cut: Cut = { sections: [], bytes: [] }
  let root: MessagePart | undefined
  const structure = (): MessagePart => (root ??= unpackStructure(content.structure))
  for (const section of sections) {
    const range = rangeOf(content, section, structure)
    if (range === undefined) cut.sections.push({ kind: 'absent' })
    else if (section.kind === 'fields' || section.kind === 'fieldsNot') await addFields(cut, content, section, range)
    else if (section.binary !== undefined)
      await addBinary(cut, content, section, range, await encodingOf(content, section, structure))
    else await addRange(cut, content, partOf(range, section.partial))
  }
  return cut
}

/**
 * Cuts sections out of headers that are held as a whole, given as text of one character per octet: mail readers ask for some fields of
 * whole mailboxes. Undefined where more is asked for, or it is better done one by one.
 */
export function headerCutters(sections: readonly Section[]): ((header: string) => string)[] | undefined {
  const cutters: ((header: string) => string)[] = []
  for (const { part, kind, fields = [], partial, binary } of sections) {
    if (part !== '' || partial !== undefined || binary !== undefined) return undefined
    const cutter = kind === 'header' ? same : fieldCutterOf(kind, fields)
    if (cutter === undefined) return undefined
    cutters.push(cutter)
  }
  return cutters
}

const same = (header: string): string => header

const fieldCutterOf = (kind: Section['kind'], names: readonly string[]) =>
  kind === 'fields' || kind === 'fieldsNot' ? fieldCutter(names, kind === 'fieldsNot') : undefined

/** In octets of the message. */
function rangeOf(
  { prefix, size, headerSize }: HeldContent,
  section: Section,
  structure: () => MessagePart,
): Range | undefined {
  const shift = prefix.length
  if (section.part === '') {
    if (section.kind === 'mime') return undefined
    if (section.kind === 'all') return { start: 0, end: shift + size }
    if (section.kind === 'text') return { start: shift + headerSize, end: shift + size }
    return { start: 0, end: shift + headerSize }
  }
  const range = sectionRange(structure(), section)
  if (range === undefined) return undefined
  // The one header that begins where the content does is the message's own, by another name (1.MIME of what is no multipart).
  const start = section.kind === 'mime' && range.start === 0 ? 0 : shift + range.start
  return { start, end: shift + range.end }
}

/** RFC 9051 §6.4.5.1: a partial that begins beyond the end is the empty string. */
function partOf({ start, end }: Range, partial: Section['partial']): Range {
  if (partial === undefined) return { start, end }
  const [first, count] = partial
  const from = Math.min(start + first, end)
  return { start: from, end: Math.min(from + count, end) }
}

async function addRange(cut: Cut, content: HeldContent, range: Range): Promise<void> {
  const length = range.end - range.start
  const { blob, prefix } = content
  if (blob === null || length <= MAX_INLINE_BYTES) {
    cut.sections.push({ kind: 'inline' })
    cut.bytes.push(await readPieces(content, range))
    return
  }
  const lead = prefix.subarray(range.start, range.end)
  const from = Math.max(range.start - prefix.length, 0)
  const bytes = { blob: blob.key, offset: blob.offset + from, length: length - lead.length }
  if (lead.length === 0) {
    cut.sections.push({ kind: 'blob', ...bytes })
    return
  }
  cut.sections.push({ kind: 'blob', ...bytes, lead: true })
  cut.bytes.push([lead])
}

type Decoding = 'base64' | 'quoted-printable'

/** Whether its transfer encoding has to be known. */
export function isDecoded({ part, kind, binary }: Section): boolean {
  return binary !== undefined && (kind === 'text' || (kind === 'all' && part !== ''))
}

/** Null: its octets are what they are — RFC 9051 §6.4.5 (BINARY). By the header itself, as for SEARCH: the tree shows what is MIME only. */
async function encodingOf(
  content: HeldContent,
  section: Section,
  structure: () => MessagePart,
): Promise<Decoding | 'unknown' | null> {
  const part = isDecoded(section) ? encodedPart(structure(), section) : undefined
  if (part === undefined) return null
  const { start, end } = part.header
  const encoding = decodingBy(await content.read(start, Math.min(end, start + MAX_HEADER_BYTES)))
  if (encoding === '7bit' || encoding === '8bit' || encoding === 'binary') return null
  return encoding === 'base64' || encoding === 'quoted-printable' ? encoding : 'unknown'
}

async function addBinary(
  cut: Cut,
  content: HeldContent,
  section: Section,
  range: Range,
  encoding: Decoding | 'unknown' | null,
): Promise<void> {
  const sizeOnly = section.binary === 'size'
  if (encoding === 'unknown') {
    cut.sections.push({ kind: 'unknownEncoding' })
  } else if (encoding === null) {
    if (sizeOnly) cut.sections.push({ kind: 'size', octets: range.end - range.start })
    else await addRange(cut, content, partOf(range, section.partial))
  } else {
    await addDecoded(cut, content, range, encoding, section)
  }
}

/** What is long is decoded twice: here to know its length, which is said first, and where it is sent. */
async function addDecoded(
  cut: Cut,
  content: HeldContent,
  range: Range,
  encoding: Decoding,
  { binary, partial }: Section,
): Promise<void> {
  const [first, count] = binary === 'size' ? [0, 0] : (partial ?? [0, Infinity])
  const decoded = await decode(content, range, encoding, first + Math.min(count, MAX_INLINE_BYTES))
  if (decoded.damaged) return void cut.sections.push({ kind: 'damagedEncoding' })
  if (binary === 'size') return void cut.sections.push({ kind: 'size', octets: decoded.octets })
  const from = Math.min(first, decoded.octets)
  const length = Math.min(count, decoded.octets - from)
  const { blob, prefix } = content
  if (blob === null || from + length <= decoded.start.length) {
    cut.sections.push({ kind: 'inline' })
    cut.bytes.push([decoded.start.subarray(from, from + length)])
    return
  }
  cut.sections.push({
    ...{ kind: 'blob', blob: blob.key, offset: blob.offset + range.start - prefix.length },
    length: range.end - range.start,
    decode: { encoding, first: from, count: length },
  })
}

const DECODED_AT_ONCE = 256 * 1024

/** How many octets come out, and so many of the first of them; all of them if the content is held here. */
async function decode(
  content: HeldContent,
  { start, end }: Range,
  encoding: Decoding,
  wanted: number,
): Promise<{ octets: number; start: Buffer; damaged: boolean }> {
  const decoder = transferDecoder(encoding)
  const most = content.blob === null ? Infinity : Math.min(wanted, 2 * MAX_INLINE_BYTES)
  const kept: Buffer[] = []
  let octets = 0
  const take = (bytes: Buffer): void => {
    if (octets < most) kept.push(Buffer.from(bytes.subarray(0, most - octets)))
    octets += bytes.length
  }
  for (let at = start; at < end; at += DECODED_AT_ONCE) {
    const piece = await readRange(content, { start: at, end: Math.min(at + DECODED_AT_ONCE, end) })
    take(decoder.write(Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength)))
  }
  take(decoder.end())
  return { octets, start: Buffer.concat(kept), damaged: decoder.damaged }
}

/** RFC 8970: '' for a message without text. */
export async function previewOf(content: HeldContent): Promise<string> {
  const source = previewSource(unpackStructure(content.structure))
  if (source === undefined) return ''
  const octets = await content.read(source.range.start, source.range.end)
  return previewText(source, Buffer.from(octets))
}

async function addFields(cut: Cut, content: HeldContent, section: Section, range: Range): Promise<void> {
  const limited = partOf(range, [0, MAX_HEADER_BYTES])
  const header = heldInOne(content, limited) ?? (await readRange(content, limited))
  const fields = selectFields(header, section.fields ?? [], section.kind === 'fieldsNot')
  if (section.binary === 'size') {
    cut.sections.push({ kind: 'size', octets: fields.reduce((octets, { length }) => octets + length, 0) })
    return
  }
  cut.sections.push({ kind: 'inline' })
  if (section.partial === undefined) return void cut.bytes.push(fields)
  const whole = Buffer.concat(fields)
  const { start, end } = partOf({ start: 0, end: whole.length }, section.partial)
  cut.bytes.push([whole.subarray(start, end)])
}

/** `[start, end)` of the message, as far as possible in views of what is held. */
async function readPieces({ prefix, header, read }: HeldContent, { start, end }: Range): Promise<Uint8Array[]> {
  const from = Math.max(start - prefix.length, 0)
  const to = Math.max(end - prefix.length, 0)
  const pieces = [prefix.subarray(start, end), header.subarray(from, to)].filter(({ length }) => length > 0)
  if (to > header.length) pieces.push(await read(Math.max(from, header.length), to))
  return pieces
}

/** What is asked for most, a header without anything put in front of it: nothing is cut or waited for. */
function heldInOne({ prefix, header }: HeldContent, { start, end }: Range): Uint8Array | undefined {
  return prefix.length === 0 && start === 0 && end === header.length ? header : undefined
}

async function readRange(content: HeldContent, range: Range): Promise<Uint8Array> {
  const pieces = await readPieces(content, range)
  const [first, ...others] = pieces
  return first !== undefined && others.length === 0 ? first : Buffer.concat(pieces)
}
