/**
 * xtext: how RFC 3461 carries any printable text inside an SMTP parameter, and the Unicode escapes RFC 6533 puts inside it.
 *
 * Nothing decoded here holds a control character: these values end in reports and logs, where a line break would be a forgery.
 *
 * STANDARDS  RFC 3461 §4 (xtext), RFC 6533 §3 (utf-8-addr-xtext)
 */

/** Null where it is not xtext, or hides something that is not printable ASCII. */
export function decodeXtext(text: string): string | null {
  if (!/^(?:[\x21-\x2a\x2c-\x3c\x3e-\x7e]|\+[0-9A-F]{2})*$/.test(text)) return null
  const decoded = text.replaceAll(/\+([0-9A-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
  return /^[\x20-\x7e]*$/.test(decoded) ? decoded : null
}

export function encodeXtext(text: string): string {
  return text.replaceAll(/[^\x21-\x2a\x2c-\x3c\x3e-\x7e]/gu, (character) =>
    [...Buffer.from(character)].map((octet) => `+${hex(octet)}`).join(''),
  )
}

/** The address of an ORCPT of type utf-8 in any of its forms. Null where an escape names no character that may be printed. */
export function decodeUtf8Address(text: string): string | null {
  try {
    const decoded = text.replaceAll(/\\x\{([0-9A-Fa-f]{2,6})\}/g, (_, digits: string) =>
      String.fromCodePoint(Number.parseInt(digits, 16)),
    )
    return /[\p{Cc}\p{Cs}\u2028\u2029]/u.test(decoded) ? null : decoded
  } catch {
    return null // beyond U+10FFFF
  }
}

/** utf-8-addr-xtext, for servers without SMTPUTF8. */
export function encodeUtf8Address(text: string): string {
  return text.replaceAll(
    /[^\x21-\x2a\x2c-\x3c\x3e-\x5b\x5d-\x7e]/gu,
    (character) => `\\x{${hex(character.codePointAt(0) ?? 0)}}`,
  )
}

const hex = (value: number): string => value.toString(16).toUpperCase().padStart(2, '0')
