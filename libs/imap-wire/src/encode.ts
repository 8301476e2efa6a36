/**
 * Responses into text: atoms where they suffice, quoted strings where they can be, literals otherwise. The text is UTF-8
 * on the wire, and every literal's length counts octets.
 *
 * STANDARDS  RFC 9051 §4.3, §9 (string, astring, literal)
 */
import { mailboxNameOnWire } from './mailbox-name.ts'

// TEXT-CHAR of 7 bits without control characters
const QUOTABLE = /^[\u0020-\u007e]{0,1000}$/
const ATOM = /^[^\u0000-\u0020\u007f-\uffff(){%*"\\]+$/

export function encodeString(text: string): string {
  if (!QUOTABLE.test(text)) return `${literalHeader(Buffer.byteLength(text))}${text}`
  return `"${text.replace(/["\\]/g, '\\$&')}"`
}

export function encodeAstring(text: string): string {
  // A bare NIL would be read as no string at all.
  return ATOM.test(text) && text.toUpperCase() !== 'NIL' ? text : encodeString(text)
}

export function encodeMailbox(name: string, options: { utf8?: boolean } = {}): string {
  const wire = mailboxNameOnWire(name, options)
  // Quoted strings may be UTF-8 to a client that asked for it — RFC 9051 §4.3.
  if (options.utf8 && /[\u0080-\uffff]/.test(wire)) return `"${wire.replace(/["\\]/g, '\\$&')}"`
  return encodeAstring(wire)
}

/** Octets as a string: quoted where they can be, else a literal, with NUL a literal8 — RFC 3516 §7. */
export function encodeOctets(octets: Uint8Array): Buffer {
  const text = Buffer.from(octets).toString('latin1')
  if (QUOTABLE.test(text)) return Buffer.from(encodeString(text))
  const header = `${octets.includes(0) ? '~' : ''}${literalHeader(octets.length)}`
  return Buffer.concat([Buffer.from(header), octets])
}

/** `{n}` and the line end; exactly n octets must follow. */
export function literalHeader(octets: number): string {
  return `{${octets}}\r\n`
}

/** Text for a human, in one line, as a response ends with it. */
export function responseText(text: string): string {
  return text.replace(/[^\u0020-\u007e]+/g, ' ')
}
