/**
 * Mailbox addresses: taken apart, compared, written.
 *
 * STANDARDS  RFC 5321 §4.1.2 (Mailbox, Quoted-string, address-literal), §2.4 (case); RFC 6531 §3.3 (UTF-8); RFC 5891 (A-labels)
 */
import { domainToASCII } from 'node:url'

export interface Address {
  /** Without quoting: `"john doe"@x` has the local part `john doe`. */
  localPart: string
  /** As written, without brackets for a domain; with brackets for an address literal. Absent only in `Postmaster` — RFC 5321 §4.5.1. */
  domain: string | null
}

const ATEXT =
  /^[A-Za-z0-9!#$%&'*+\-/=?^_`{|}~\u0080-\u{10ffff}]+(\.[A-Za-z0-9!#$%&'*+\-/=?^_`{|}~\u0080-\u{10ffff}]+)*$/u
const QUOTED = /^"((?:[\x20-\x21\x23-\x5b\x5d-\x7e\u0080-\u{10ffff}]|\\[\x20-\x7e])*)"$/u
const LABEL = /^[\p{L}\p{N}\p{M}](?:[\p{L}\p{N}\p{M}_-]*[\p{L}\p{N}\p{M}])?$/u
const LITERAL = /^\[(?:IPv6:[0-9a-fA-F:.]+|[0-9]{1,3}(?:\.[0-9]{1,3}){3}|[A-Za-z0-9-]+:[\x21-\x5a\x5e-\x7e]+)\]$/

/** RFC 5321 §4.5.3.1.1 and §4.5.3.1.2, in octets. */
const MAX_LOCAL_PART = 64
const MAX_DOMAIN = 255

/** `local-part@domain`, or null where the grammar does not allow it. */
export function parseAddress(text: string): Address | null {
  const at = text.lastIndexOf('@')
  if (at <= 0) return null
  const localPart = parseLocalPart(text.slice(0, at))
  const domain = text.slice(at + 1)
  return localPart !== null && isDomain(domain) ? { localPart, domain } : null
}

/**
 * The argument of MAIL FROM or RCPT TO inside its angle brackets: the null path, `Postmaster` alone, or an address, with an
 * obsolete source route in front ignored (RFC 5321 §4.1.1.3, appendix C). Null where the grammar does not allow it; 'null path' is ''.
 */
export function parsePath(text: string): Address | '' | null {
  if (text === '') return ''
  if (/^postmaster$/i.test(text)) return { localPart: text, domain: null }
  return parseAddress(text.startsWith('@') ? text.slice(text.indexOf(':') + 1) : text)
}

/** The wire form: the local part quoted where it must be. */
export function formatPath({ localPart, domain }: Address): string {
  const local = ATEXT.test(localPart) ? localPart : `"${localPart.replaceAll(/["\\]/g, '\\$&')}"`
  return domain === null ? local : `${local}@${domain}`
}

/** Lower-case A-labels, or an address literal in lower case. Null where it is no domain. */
export function normalizeDomain(domain: string): string | null {
  if (domain.startsWith('[')) return LITERAL.test(domain) ? domain.toLowerCase() : null
  if (!isDomain(domain)) return null
  const ascii = /^[\x21-\x7e]+$/.test(domain) ? domain.toLowerCase() : domainToASCII(domain)
  return ascii === '' ? null : ascii.replace(/\.$/, '')
}

/** For comparing addresses of our own domains, whose local parts match without regard to case. Null where it is no address. */
export function normalizeAddress(text: string): string | null {
  const address = parseAddress(text)
  if (address === null || address.domain === null) return null
  const domain = normalizeDomain(address.domain)
  if (domain === null) return null
  return formatPath({ localPart: address.localPart.normalize('NFC').toLowerCase(), domain })
}

function parseLocalPart(text: string): string | null {
  if (Buffer.byteLength(text) > MAX_LOCAL_PART) return null
  if (ATEXT.test(text)) return text
  const quoted = QUOTED.exec(text)
  return quoted ? (quoted[1] as string).replaceAll(/\\(.)/gu, '$1') : null
}

function isDomain(text: string): boolean {
  if (Buffer.byteLength(text) > MAX_DOMAIN) return false
  if (text.startsWith('[')) return LITERAL.test(text)
  const labels = text.replace(/\.$/, '').split('.')
  return labels.every((label) => LABEL.test(label) && Buffer.byteLength(label) <= 63 * 4)
}
