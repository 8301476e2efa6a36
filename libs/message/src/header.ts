/**
 * Splits a header into fields and finds where it ends.
 *
 * Invariant: the fields and the empty line cover the header without a gap, so a caller may cut the original
 * octets by these ranges and put them together again. Nothing here throws, and the work is linear in the input.
 */

import { isUtf8 } from 'node:buffer'

export interface HeaderField {
  /** As written, without blanks before the colon. Empty for a line that has no colon. */
  name: string
  /** Unfolded, trimmed, bytes decoded as UTF-8 where valid, else latin1; not RFC 2047-decoded. */
  value: string
  /** Octet range of the whole field including its CRLF, from the start of the given bytes. */
  start: number
  end: number
}

const TAB = 0x09
const LF = 0x0a
const CR = 0x0d
const SPACE = 0x20
const COLON = 0x3a

/** A view, never a copy: Buffer's indexOf and decoders are native. */
export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

/** Header bytes as text: UTF-8 (RFC 6532) if they are that, otherwise one character per octet so that nothing is lost. */
export function headerText(bytes: Buffer): string {
  return isUtf8(bytes) ? bytes.toString('utf8') : bytes.toString('latin1')
}

/**
 * The fields up to the empty line or the end of the bytes. A line without a colon becomes a field without a name;
 * that keeps what follows it in the header, as a reader of mail expects of a header with one damaged line.
 */
export function parseHeader(bytes: Uint8Array): HeaderField[] {
  const buffer = asBuffer(bytes)
  const fields: HeaderField[] = []
  for (const { start, nameEnd, valueStart, end } of fieldSpans(buffer)) {
    const name = headerText(buffer.subarray(start, nameEnd))
    fields.push({ name, value: fieldValue(buffer, valueStart, end), start, end })
  }
  return fields
}

/** Where one field and its halves stand. */
export interface FieldSpan {
  start: number
  /** Equal to `start` for a line without a colon. */
  nameEnd: number
  /** Just after the colon; equal to `start` for a line without one. */
  valueStart: number
  end: number
}

export function* fieldSpans(buffer: Buffer): Generator<FieldSpan> {
  for (let span = fieldSpan(buffer, 0); span !== undefined; span = fieldSpan(buffer, span.end)) yield span
}

/** Those of one name, in order. @param name in lower case */
export function* fieldsNamed(buffer: Buffer, name: string): Generator<FieldSpan> {
  for (const span of fieldSpans(buffer)) {
    const { start, nameEnd } = span
    if (nameEnd - start === name.length && buffer.toString('latin1', start, nameEnd).toLowerCase() === name) yield span
  }
}

/**
 * The offset just after the empty line that ends the header beginning at `from`, or -1 if there is none.
 * An empty line is CRLF or a bare LF at the start of a line.
 */
export function headerEnd(bytes: Uint8Array, from = 0): number {
  for (let start = from; start < bytes.length;) {
    if (bytes[start] === LF) return start + 1
    if (bytes[start] === CR && bytes[start + 1] === LF) return start + 2
    const lf = bytes.indexOf(LF, start)
    if (lf < 0) return -1
    start = lf + 1
  }
  return -1
}

/** The unfolded value of a field that stands in `bytes`. RFC 5322 §2.2.3: the line end goes, the blank stays. */
export function fieldValue(bytes: Buffer, start: number, end: number): string {
  const text = headerText(bytes.subarray(start, end))
  return trimBlanks(text.includes('\n') ? text.replaceAll('\r\n', '').replaceAll('\n', '') : text)
}

/** The field that begins here; undefined where the fields end. */
export function fieldSpan(buffer: Uint8Array, start: number): FieldSpan | undefined {
  if (start >= buffer.length || isEmptyLine(buffer, start)) return undefined
  // Octet by octet: a line of a header is over before a call into native code has begun.
  let colon = -1
  let lf = start
  for (; lf < buffer.length && buffer[lf] !== LF; lf++) {
    if (colon < 0 && buffer[lf] === COLON) colon = lf
  }
  const end = fieldEnd(buffer, lf)
  if (colon <= start || isBlank(buffer[start])) return { start, nameEnd: start, valueStart: start, end }
  let nameEnd = colon
  // RFC 5322 §4.5: obsolete fields may have blanks before the colon.
  while (nameEnd > start && isBlank(buffer[nameEnd - 1])) nameEnd--
  return { start, nameEnd, valueStart: colon + 1, end }
}

/** Where the field whose first line ends at `lf` ends: after the last line that the next line does not continue. */
function fieldEnd(buffer: Uint8Array, lf: number): number {
  for (let at = lf; at >= 0 && at < buffer.length; at = buffer.indexOf(LF, at + 1)) {
    if (!isBlank(buffer[at + 1])) return at + 1
  }
  return buffer.length
}

function isEmptyLine(buffer: Uint8Array, at: number): boolean {
  return buffer[at] === LF || (buffer[at] === CR && buffer[at + 1] === LF)
}

/** A space or a tab. */
export function isBlank(octet: number | undefined): boolean {
  return octet === SPACE || octet === TAB
}

/** Not String.trim: that also removes characters which are content in a header, such as a no-break space. */
function trimBlanks(text: string): string {
  let start = 0
  let end = text.length
  while (start < end && isTrimmed(text.charCodeAt(start))) start++
  while (end > start && isTrimmed(text.charCodeAt(end - 1))) end--
  return text.slice(start, end)
}

function isTrimmed(code: number): boolean {
  return code === SPACE || code === TAB || code === CR || code === LF
}
