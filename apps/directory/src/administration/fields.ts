/** What an operator typed, checked and folded; a refusal names the field. */
import { normalizeDomain, parseAddress, withoutRootDot } from '@postbus/smtp'

import { type ParsedName, parseName } from '../addresses/names.ts'
import { invalid } from '../refusal.ts'

/** Lower-case A-labels. */
export function domainField(field: string, value: string): string {
  const domain = normalizeDomain(value.trim())
  if (domain === null || domain.startsWith('[')) throw invalid(field, `'${value}' is no domain name`)
  return domain
}

export function nameField(field: string, value: string): ParsedName {
  const name = parseName(value.trim())
  if (name === null || name.domain.startsWith('[')) throw invalid(field, `'${value}' is no address (local-part@domain)`)
  return name
}

/** An address anywhere, its spelling kept: only its own host may interpret the local part — RFC 5321 §2.3.11. */
export function pathField(field: string, value: string): string {
  const path = value.trim()
  if (parseAddress(path) === null) throw invalid(field, `'${value}' is no address (local-part@domain)`)
  return withoutRootDot(path)
}

/** Printable, and neither a letter or digit nor what the grammar of local parts or paths needs. */
const SEPARATOR = /^[+\-_=#!~%&*/?^|$.]$/

export function separatorField(field: string, value: string | null): string | null {
  if (value !== null && !SEPARATOR.test(value)) throw invalid(field, `'${value}' cannot be one; '+' and '-' are usual`)
  return value
}
