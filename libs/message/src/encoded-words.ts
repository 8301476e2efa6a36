/**
 * Encoded words in header fields. What is no valid encoded word stays as it is; one in a charset nobody knows says what it has of
 * UTF-8.
 *
 * STANDARDS  RFC 2047 §2, §6.2, §6.3; RFC 2231 §5 (language)
 */
import { decodeCharset } from './charset.ts'
import { octetsOf } from './octets.ts'
import { decodeTransfer } from './transfer.ts'

/** Charset and text cannot hold a question mark, so no octet is looked at by more than two attempts to match. */
const ENCODED_WORD = /=\?([^?*\s]{1,60})(?:\*[^?\s]{0,60})?\?([bq])\?([^?]*)\?=/gi

/** Text for people: every encoded word of an unfolded field value decoded, blanks between two of them dropped. */
export function decodeWords(value: string): string {
  if (!value.includes('=?')) return value
  let text = ''
  let at = 0
  /** Octets of adjoining words in one charset: a character may be cut between two words, though it must not be. */
  let open: { charset: string; octets: Buffer[] } | undefined
  const close = (): void => {
    if (open !== undefined) text += decodeCharset(Buffer.concat(open.octets), open.charset)
    open = undefined
  }
  for (const match of value.matchAll(ENCODED_WORD)) {
    const [word, charset = '', encoding = '', encoded = ''] = match
    const between = value.slice(at, match.index)
    // RFC 2047 §6.2: blanks between encoded words only separate them. Those before the first one say as little.
    const isBlank = /^[ \t\r\n]*$/.test(between)
    if (!isBlank || open?.charset.toLowerCase() !== charset.toLowerCase()) close()
    if (!isBlank) text += between
    open ??= { charset, octets: [] }
    open.octets.push(decodeWord(encoding, encoded))
    at = match.index + word.length
  }
  close()
  return text + value.slice(at)
}

function decodeWord(encoding: string, encoded: string): Buffer {
  if (encoding === 'b' || encoding === 'B') return decodeTransfer(octetsOf(encoded), 'base64')
  // RFC 2047 §4.2: an underscore is a space, whatever the charset. Lines are never cut here: an equals sign that is no escape stays.
  const octets = Buffer.from(encoded.replaceAll('_', ' '), 'utf8').toString('latin1')
  return octetsOf(
    octets.replaceAll(/=([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))),
  )
}
