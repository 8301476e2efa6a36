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

function isAscii(text: string): boolean {
  for (let at = 0; at < text.length; at++) if (text.charCodeAt(at) > 0x7f) return false
  return true
}
