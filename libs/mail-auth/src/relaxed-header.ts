/**
 * Header fields under the `relaxed` canonicalization. Text here has one character per octet, so that nothing in another
 * charset is changed.
 *
 * STANDARDS  RFC 6376 §3.4.2
 */

/** @param field the whole field as it stands, its line end included or not. @returns it without a line end */
export function relaxedField(field: string): string {
  const colon = field.indexOf(':')
  const name = field
    .slice(0, colon)
    .trimEnd()
    .replaceAll(/[A-Z]/g, (letter) => letter.toLowerCase())
  const value = field
    .slice(colon + 1)
    .replaceAll(/\r?\n/g, '')
    .replaceAll(/[ \t]+/g, ' ')
    .replace(/^ /, '')
    .replace(/ $/, '')
  return `${name}:${value}`
}
