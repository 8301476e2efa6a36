/**
 * Which octets of a message a BODY[section] names.
 *
 * STANDARDS  RFC 9051 §6.4.5.1 (part specifiers); RFC 3501 §6.4.5
 */
import { asBuffer, fieldSpans, headerEnd } from './header.ts'
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
export function selectFields(header: Uint8Array, names: readonly string[], not: boolean): Buffer[] {
  const buffer = asBuffer(header)
  const wanted = names.map((name) => name.toLowerCase())
  const chosen: Range[] = []
  const choose = (start: number, end: number): void => {
    const last = chosen.at(-1)
    if (last?.end === start) last.end = end
    else chosen.push({ start, end })
  }
  let fieldsEnd = 0
  for (const { start, nameEnd, end } of fieldSpans(buffer)) {
    if (wanted.some((name) => isNamed(buffer, start, nameEnd, name)) !== not) choose(start, end)
    fieldsEnd = end
  }
  const emptyLineEnd = headerEnd(buffer, fieldsEnd)
  if (emptyLineEnd >= 0) choose(fieldsEnd, emptyLineEnd)
  return chosen.map(({ start, end }) => buffer.subarray(start, end))
}

/** @param name in lower case */
function isNamed(header: Buffer, start: number, end: number, name: string): boolean {
  if (end - start !== name.length) return false
  for (let at = start; at < end; at++) {
    const octet = header[at] ?? 0
    const isUpper = octet >= 0x41 && octet <= 0x5a
    if ((isUpper ? octet | 0x20 : octet) !== name.charCodeAt(at - start)) return false
  }
  return true
}
