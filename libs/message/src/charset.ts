/**
 * Octets in a named charset as text. Unknown names and broken octets never fail: what cannot be decoded is read as
 * UTF-8 with replacement characters, or octet by octet, so that ASCII in it is still found.
 *
 * STANDARDS  RFC 2046 §4.1.2; RFC 2978
 */
import { isUtf8 } from 'node:buffer'
import iconv from 'iconv-lite'

/** Charset labels are short; a longer one is none (RFC 2978 §2.3). */
const MAX_LABEL = 40

export interface CharsetDecoder {
  write(bytes: Buffer): string
  end(): string
}

export function decodeCharset(bytes: Buffer, charset: string): string {
  const decoder = charsetDecoder(charset)
  return decoder.write(bytes) + decoder.end()
}

/** A decoder that takes the octets in pieces; a character cut between pieces is put together. */
export function charsetDecoder(charset: string): CharsetDecoder {
  const label = canonical(charset)
  if (!iconv.encodingExists(label)) return webDecoder(label)
  const decoder = iconv.getDecoder(label, { stripBOM: true })
  return { write: (bytes) => decoder.write(bytes), end: () => decoder.end() ?? '' }
}

function isKnownCharset(charset: string): boolean {
  const name = charset.toLowerCase()
  if (name.length > MAX_LABEL || BYTE_NAMES.has(name)) return false
  return iconv.encodingExists(name) || WEB_ONLY.has(name)
}

/** What the platform decodes and iconv-lite does not. */
const WEB_ONLY = new Set(['iso-2022-jp', 'csiso2022jp'])

function webDecoder(label: string): CharsetDecoder {
  const decoder = new TextDecoder(label)
  return { write: (bytes) => decoder.decode(bytes, { stream: true }), end: () => decoder.decode() }
}

/** iconv-lite also knows Node's encodings of bytes as text; a charset they are not. */
const BYTE_NAMES = new Set(['base64', 'hex', 'binary', 'internal'])

function canonical(charset: string): string {
  const label = charset.trim().replace(/^"|"$/g, '')
  // ASCII is a part of UTF-8, and mail that says us-ascii but is not is nearly always UTF-8.
  if (label === '' || /^(us-)?ascii$/i.test(label) || !isKnownCharset(label)) return 'utf8'
  // The web's rule, because mail that says Latin-1 means its Windows superset.
  return /^iso-?8859-?1$/i.test(label) ? 'windows-1252' : label
}

/** Octets without a declared charset: UTF-8 where valid, otherwise Windows Latin-1. */
export function guessText(bytes: Buffer): string {
  return isUtf8(bytes) ? bytes.toString('utf8') : iconv.decode(bytes, 'windows-1252')
}
