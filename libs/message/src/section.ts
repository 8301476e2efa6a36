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
  return fieldSelector(names, not)(header)
}

/** The same for many headers. */
export function fieldSelector(names: readonly string[], not: boolean): (header: Uint8Array) => Uint8Array[] {
  const wanted = names.map((name) => name.toLowerCase())
  return (header) => {
    const chosen: Uint8Array[] = []
    /** Where what is to be cut out next begins; -1: it has not. */
    let from = -1
    let end = 0
    // Thousands of headers are cut one behind the other: no iterator, and as few calls as can be.
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
