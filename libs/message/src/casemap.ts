/**
 * The form of a text in which IMAP compares strings without regard to case: i;unicode-casemap. Two strings match if their
 * forms are equal; one contains the other if its form does. So `cafe` is found in `Café`.
 *
 * Each character has a form of its own, whatever stands beside it: a text may be mapped in pieces. Sort keys and the text
 * index hold this form; a change of it makes them wrong.
 *
 * STANDARDS  RFC 5051 §2; RFC 9051 §6.4.4 (SEARCH)
 */

export function casemap(text: string): string {
  if (isAscii(text)) return text.toUpperCase()
  // In this order: a ligature is taken apart after its case was mapped, so `ﬁ` is `fi` and not `FI` — RFC 5051 §2.
  return text.replaceAll(/[a-z]+/g, (letters) => letters.toUpperCase()).replaceAll(NOT_ASCII, mapped)
}

const NOT_ASCII = /[\u0080-\u{10ffff}]/gu

/** Forms once worked out; a text has some hundred different characters. */
const forms = new Map<string, string>()
const MAX_FORMS = 20_000

function mapped(character: string): string {
  const known = forms.get(character)
  if (known !== undefined) return known
  const form = formOf(character)
  if (forms.size < MAX_FORMS) forms.set(character, form)
  return form
}

/** Upper case only where one character stays one: RFC 5051 uses simple mappings, in which ß has none. */
function formOf(character: string): string {
  const upper = character.toUpperCase()
  const one = upper.length === character.length ? upper : character
  return one.normalize('NFKD')
}

/** UTF-8 takes more octets than there are characters for whatever is not ASCII; they are counted without a loop of our own. */
const isAscii = (text: string): boolean => Buffer.byteLength(text) === text.length
