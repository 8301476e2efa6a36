/**
 * The first words of a message, for a list of messages: of its first text part, freed from transfer encoding, charset and
 * HTML, with runs of blanks as one. Quoted lines are left out unless there is nothing else.
 *
 * STANDARDS  RFC 8970 §3.1 (PREVIEW)
 */
import { decodeCharset } from './charset.ts'
import { plainOfHtml } from './html-text.ts'
import { parameter } from './parameters.ts'
import { type MessagePart, mediaTypeOf, type Range } from './structure.ts'
import { decodeTransfer } from './transfer.ts'

/** RFC 8970 §3.1: 200 characters at most, and never more than 256. */
const MAX_CHARACTERS = 200

/** So much of the part is looked at: enough for the style sheets in front of ordinary HTML. */
const MAX_OCTETS = 32 * 1024

const READABLE = new Set(['7bit', '8bit', 'binary', 'quoted-printable', 'base64'])

export interface PreviewSource {
  part: MessagePart
  /** What `previewText` needs of it. */
  range: Range
}

/** Undefined if the message has no text: then its preview is empty. */
export function previewSource(root: MessagePart): PreviewSource | undefined {
  const part = textPart(root)
  if (part === undefined) return undefined
  const { start, end } = part.body
  return { part, range: { start, end: Math.min(end, start + MAX_OCTETS) } }
}

export function previewText({ part }: PreviewSource, octets: Buffer): string {
  const charset = parameter(part.contentType?.params ?? [], 'charset') ?? ''
  const text = decodeCharset(decodeTransfer(octets, part.encoding), charset)
  const plain = mediaTypeOf(part).subtype === 'html' ? plainOfHtml(text) : unquoted(text)
  const words = plain.replaceAll(/[\s\0-\x1f\x7f]+/g, ' ').trim()
  if (words.length <= MAX_CHARACTERS) return words
  return [...words.slice(0, 2 * MAX_CHARACTERS)].slice(0, MAX_CHARACTERS).join('').trimEnd()
}

/** Trees are as deep as the limit they were read with, so recursion is bounded. An attached message is not looked into. */
function textPart(part: MessagePart): MessagePart | undefined {
  if (part.message !== undefined) return undefined
  if (part.parts === undefined) return isText(part) ? part : undefined
  let html: MessagePart | undefined
  for (const child of part.parts) {
    const found = textPart(child)
    if (found === undefined) continue
    // RFC 2046 §5.1.4: alternatives say the same, and plain text says it without markup.
    if (part.contentType?.subtype.toLowerCase() !== 'alternative') return found
    if (mediaTypeOf(found).subtype !== 'html') return found
    html ??= found
  }
  return html
}

function isText(part: MessagePart): boolean {
  const { type, subtype } = mediaTypeOf(part)
  return (
    type === 'text' &&
    (subtype === 'plain' || subtype === 'html') &&
    part.disposition?.type.toLowerCase() !== 'attachment' &&
    READABLE.has((part.encoding ?? '7bit').toLowerCase())
  )
}

function unquoted(text: string): string {
  const own = text
    .split('\n')
    .filter((line) => !line.startsWith('>'))
    .join('\n')
  return own.trim() === '' ? text : own
}
