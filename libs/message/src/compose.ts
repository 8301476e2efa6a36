/**
 * Fields written into messages on their way: folded, and free of anything that could begin another field.
 *
 * STANDARDS  RFC 5322 §2.1.1, §2.2.3; RFC 5321 §4.4, §6.3
 */
import { asBuffer, fieldsNamed } from './header.ts'

/** RFC 5322 §2.1.1: lines SHOULD be no longer than this. */
const LINE_LENGTH = 78

/**
 * One field as it stands in a header, with its CRLF. Folded at blanks; a word longer than a line is left whole. Line ends
 * and NUL in the value become spaces: a value never becomes a second field.
 */
export function formatField(name: string, value: string): string {
  // Control characters are exactly what is taken out
  const words = value.replaceAll(/[\r\n\0]+/g, ' ').split(/(?<=[^ \t])(?=[ \t])/)
  const lines: string[] = []
  let line = `${name}:${/^[ \t]/.test(value) || value === '' ? '' : ' '}`
  let empty = true
  for (const word of words) {
    // A line of blanks alone would be read as the end of the header by some.
    if (!empty && line.length + word.length > LINE_LENGTH && /[^ \t]/.test(word)) {
      lines.push(line)
      line = ''
    }
    line += word
    empty = false
  }
  return `${[...lines, line].join('\r\n')}\r\n`
}

/** Fields to put before a message, in this order. UTF-8: only for messages that may carry it (RFC 6532). */
export function formatFields(fields: Iterable<readonly [name: string, value: string]>): Buffer {
  let text = ''
  for (const [name, value] of fields) text += formatField(name, value)
  return Buffer.from(text, 'utf8')
}

/** How many servers the message passed — RFC 5321 §6.3: too many mean a loop. */
export function countReceived(header: Uint8Array): number {
  return fieldsNamed(asBuffer(header), 'received').reduce((count) => count + 1, 0)
}
