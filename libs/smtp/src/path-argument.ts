/**
 * What follows MAIL and RCPT: `FROM:<path> KEYWORD=value …`, taken apart by the grammar. What the parameters mean is
 * decided elsewhere.
 *
 * STANDARDS  RFC 5321 §4.1.1.2–3, §4.1.2 (Path, esmtp-param); RFC 6531 §3.3, RFC 6533 §3 (UTF-8 in values)
 */
import { type Address, parsePath, withoutRootDot, withoutSourceRoute } from './address.ts'

export interface PathArgument {
  /** As the client spelt it, without angle brackets, source route and the root's dot; '' is the null path. */
  path: string
  /** Null for the null path. */
  address: Address | null
  /** By keyword in upper case; null where a keyword stands without a value. */
  parameters: Map<string, string | null>
}

/** Why an argument could not be read: not even a path in brackets, a path that is no address, parameters that are none. */
export type PathFault = 'syntax' | 'path' | 'parameters'

/** Octets; RFC 5321 §4.5.3.1.3 asks for 256 at least. */
const MAX_PATH = 1000

// A ">" inside a quoted local part does not end the path.
const ARGUMENT = /^(FROM|TO):[ \t]*<((?:"(?:[^"\\]|\\.)*"|[^"<>])*)>(?:[ \t]+(.*))?$/iu
const PARAMETER = /^([A-Za-z0-9][A-Za-z0-9-]*)(?:=([\x21-\x3c\x3e-\x7e\u0080-\u{10ffff}]+))?$/u

/**
 * Spaces after the colon are not in the grammar, and taken all the same: common clients send them. A path without
 * brackets is not taken.
 */
export function parsePathArgument(keyword: 'FROM' | 'TO', text: string): PathArgument | PathFault {
  const [, word, bracketed, rest] = ARGUMENT.exec(text) ?? []
  if (word?.toUpperCase() !== keyword || bracketed === undefined) return 'syntax'
  const address = parsePath(bracketed)
  const path = withoutSourceRoute(bracketed)
  if (address === null || path === null || Buffer.byteLength(path) > MAX_PATH) return 'path'
  const parameters = parseParameters(rest ?? '')
  if (parameters === null) return 'parameters'
  return { path: withoutRootDot(path), address: address === '' ? null : address, parameters }
}

/** A keyword given twice is as good as none: nobody can say which one counts — RFC 3461 §4. */
function parseParameters(text: string): Map<string, string | null> | null {
  const parameters = new Map<string, string | null>()
  for (const word of text.split(/[ \t]+/)) {
    if (word === '') continue
    const [, keyword, value] = PARAMETER.exec(word) ?? []
    if (keyword === undefined || parameters.has(keyword.toUpperCase())) return null
    parameters.set(keyword.toUpperCase(), value ?? null)
  }
  return parameters
}
