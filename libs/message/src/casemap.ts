/**
 * The form of a text in which IMAP compares strings without regard to case: i;unicode-casemap. Two strings match if their
 * forms are equal; one contains the other if its form does. So `cafe` is found in `Café`.
 *
 * STANDARDS  RFC 5051 §2; RFC 9051 §6.4.4 (SEARCH)
 */

/**
 * Upper case only where one character stays one: RFC 5051 uses simple mappings, in which ß has none. Ligatures
 * and wide letters stay what they are, as in Dovecot, although RFC 5051 would take them apart.
 */
export function casemap(text: string): string {
  if (isAscii(text)) return text.toUpperCase()
  const decomposed = text.normalize('NFD')
  const upper = decomposed.toUpperCase()
  if (upper.length === decomposed.length) return upper
  let mapped = ''
  for (const character of decomposed) {
    const one = character.toUpperCase()
    mapped += one.length === character.length ? one : character
  }
  return mapped
}

/**
 * The same of a text that comes in pieces, whatever the pieces are: what the next one may still change (marks are put in
 * order when they meet) is held back.
 */
export class Casemapper {
  #rest = ''

  write(text: string): string {
    const whole = this.#rest + text
    const settled = settledLength(whole)
    this.#rest = whole.slice(settled)
    return casemap(whole.slice(0, settled))
  }

  end(): string {
    const rest = this.#rest
    this.#rest = ''
    return casemap(rest)
  }
}

/** More marks on one letter are no writing. */
const MAX_MARKS = 100

/** Up to the last character that is ASCII, or the one before the last letter with its marks. */
function settledLength(text: string): number {
  let at = text.length
  for (let marks = 0; at > 0 && marks < MAX_MARKS; marks++) {
    if (text.charCodeAt(at - 1) <= 0x7f) return at
    at -= at > 1 && isLowSurrogate(text.charCodeAt(at - 1)) ? 2 : 1
    if (!MARK.test(String.fromCodePoint(text.codePointAt(at) ?? 0))) return at
  }
  return at
}

const MARK = /^\p{M}$/u

const isLowSurrogate = (unit: number): boolean => unit >= 0xdc00 && unit <= 0xdfff

function isAscii(text: string): boolean {
  for (let at = 0; at < text.length; at++) if (text.charCodeAt(at) > 0x7f) return false
  return true
}
