/**
 * Which octets of a message a BODY[section] names.
 *
 * STANDARDS  RFC 9051 §6.4.5.1 (part specifiers); RFC 3501 §6.4.5
 */
import { type FieldSpan, fieldSpan, headerEnd } from './header.ts'
import type { MessagePart, Range } from './structure.ts'

export interface SectionName {
  /** '' is the whole message, else '1.2'. */
  part: string
  /** `fields` and `fieldsNot` are cut out of the header named here by `selectFields`. */
  kind: 'all' | 'header' | 'text' | 'mime' | 'fields' | 'fieldsNot'
}

/** Undefined if the message has no such section. */
export function sectionRange(root: MessagePart, section: SectionName): Range | undefined {
  if (section.part === '') return ofMessage(root, section.kind)
  const part = findPart(root, section.part)
  if (part === undefined) return undefined
  if (section.kind === 'all') return part.body
  if (section.kind === 'mime') return part.header
  // HEADER and TEXT of a part exist only where the part is a message.
  return part.message === undefined ? undefined : ofMessage(part.message, section.kind)
}

/**
 * The part with this number. Every message has a part 1: of what is no multipart, its own body (RFC 9051 §6.4.5.1). A part
 * of a multipart can be named so too, as in Dovecot, but only once: no number goes further down than the tree.
 */
export function findPart(root: MessagePart, path: string): MessagePart | undefined {
  let container = root
  let atBottom = false
  let part: MessagePart | undefined
  for (const step of path.split('.')) {
    const number = Number(step)
    if (container.parts === undefined) {
      if (atBottom || number !== 1) return undefined
      part = container
      atBottom = true
    } else {
      part = container.parts[number - 1]
      if (part === undefined) return undefined
    }
    container = part.message ?? part
    if (part.message !== undefined) atBottom = false
  }
  return part
}

/**
 * The part whose body a section is, as its transfer encoding left it. Undefined for headers, which are in none, and for what holds
 * other parts, which cannot be — RFC 2045 §6.4.
 */
export function encodedPart(root: MessagePart, { part: path, kind }: SectionName): MessagePart | undefined {
  const part = path === '' ? undefined : findPart(root, path)
  const message = path === '' ? root : part?.message
  const body = kind === 'all' ? part : kind === 'text' ? message : undefined
  return body?.parts === undefined && body?.message === undefined ? body : undefined
}

function ofMessage(message: MessagePart, kind: SectionName['kind']): Range | undefined {
  switch (kind) {
    case 'all':
      return { start: message.header.start, end: message.body.end }
    case 'text':
      return message.body
    case 'mime':
      return undefined
    default:
      return message.header
  }
}

/**
 * HEADER.FIELDS, or HEADER.FIELDS.NOT if `not`: the named fields as they stand, in the header's order, then the empty line
 * that ends the header. Only a header without one gives none — RFC 9051 §6.4.5.1. Names match without regard to case.
 * @returns views of the header, one for fields that follow each other
 */
export function selectFields(header: Uint8Array, names: readonly string[], not: boolean): Uint8Array[] {
  const wanted = names.map((name) => name.toLowerCase())
  const chosen: Uint8Array[] = []
  /** Where what is to be cut out next begins; -1: it has not. */
  let from = -1
  let end = 0
  for (let span = fieldSpan(header, 0); span !== undefined; span = fieldSpan(header, end)) {
    const isChosen = isOneOf(header, span, wanted) !== not
    if (isChosen && from < 0) from = span.start
    if (!isChosen && from >= 0) {
      chosen.push(header.subarray(from, span.start))
      from = -1
    }
    end = span.end
  }
  const emptyLineEnd = headerEnd(header, end)
  if (emptyLineEnd >= 0) chosen.push(header.subarray(from < 0 ? end : from, emptyLineEnd))
  else if (from >= 0) chosen.push(header.subarray(from, end))
  return chosen
}

/** RFC 5322 §2.2: what the name of a field is made of. */
const FIELD_NAME = /^[!-9;-~]+$/
/** A field as `fieldSpan` finds it: a line that is not empty, and those that continue it. */
const FIELD = String.raw`(?!\r\n)[^\n]+(?:\n[ \t][^\n]*)*\n?`
/** Longer patterns take longer to compile than they save; mail readers ask for a dozen names or two. */
const MAX_PATTERN = 1000

/**
 * What `selectFields` gives, of headers as text of one character per octet: for thousands of them. A regular expression is native code
 * as soon as it is used twice, when all other code is still interpreted.
 * @returns undefined where there are too many names, or one that RFC 5322 gives no field
 */
export function fieldCutter(names: readonly string[], not: boolean): ((header: string) => string) | undefined {
  if (names.length === 0 || !names.every((name) => FIELD_NAME.test(name))) return undefined
  // Each once: then no more than one of them stands before however many blanks.
  const pattern = [...new Set(names.map((name) => name.toLowerCase()))].map((name) => RegExp.escape(name)).join('|')
  if (pattern.length > MAX_PATTERN) return undefined
  const named = `(?=(?:${pattern})[ \\t]*:)${FIELD}`
  const others = `(?!(?:${pattern})[ \\t]*:)${FIELD}`
  const [chosen, skipped] = not ? [others, named] : [named, others]
  // To the next chosen ones and beyond: mostly all there are, and the empty line.
  const next = new RegExp(`(?:${skipped})*((?:${chosen})*)(?:${skipped})*(\\r?\\n)?`, 'iy')
  return (header) => {
    let cut = ''
    next.lastIndex = 0
    for (;;) {
      const found = next.exec(header)
      const fields = found?.[1] ?? ''
      const emptyLine = found?.[2]
      cut += fields
      if (emptyLine !== undefined) return cut + emptyLine
      if (fields === '') return cut
    }
  }
}

/** @param names in lower case */
function isOneOf(header: Uint8Array, { start, nameEnd }: FieldSpan, names: readonly string[]): boolean {
  for (const name of names) if (isNamed(header, start, nameEnd, name)) return true
  return false
}

/** @param name in lower case */
function isNamed(header: Uint8Array, start: number, end: number, name: string): boolean {
  if (end - start !== name.length) return false
  for (let at = start; at < end; at++) {
    const octet = header[at] ?? 0
    const isUpper = octet >= 0x41 && octet <= 0x5a
    if ((isUpper ? octet | 0x20 : octet) !== name.charCodeAt(at - start)) return false
  }
  return true
}
