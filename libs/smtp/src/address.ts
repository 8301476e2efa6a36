/**
 * Mailbox addresses: taken apart, compared, written.
 *
 * STANDARDS  RFC 5321 §4.1.2 (Mailbox, Quoted-string), §4.1.3 (address-literal), §2.4 (case); RFC 6531 §3.3 (UTF-8);
 *            RFC 5891 (A-labels)
 */
import { isIPv4, isIPv6 } from 'node:net'
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
/** The underscore is no letter of RFC 5321, but hosts have it in their names and send mail. */
const ASCII_LABEL = /^[A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9_])?$/
/** What may stand in a U-label, the contextual characters of RFC 5892 appendix A included. */
const UNICODE_LABEL =
  /^[\p{L}\p{N}](?:[\p{L}\p{N}\p{M}_\-\u00b7\u0375\u05f3\u05f4\u200c\u200d\u30fb]*[\p{L}\p{N}\p{M}])?$/u
const SOURCE_ROUTE = /^(@[^,:@]+(?:,@[^,:@]+)*):/

/**
 * Octets. RFC 5321 §4.5.3.1.1 asks for 64 at least, and for no limit where possible: bounce addresses that carry a whole
 * other address are often longer, and refusing them would refuse the mail of large senders.
 */
const MAX_LOCAL_PART = 512
/** Octets in A-labels — RFC 5321 §4.5.3.1.2, RFC 1035 §2.3.4. */
const MAX_DOMAIN = 255
const MAX_LABEL = 63

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
 * obsolete source route in front ignored (RFC 5321 §4.1.1.3, appendix C). Null where the grammar does not allow it; the null path is ''.
 */
export function parsePath(text: string): Address | '' | null {
  if (text === '') return ''
  if (/^postmaster$/i.test(text)) return { localPart: text, domain: null }
  const path = withoutSourceRoute(text)
  return path === null ? null : parseAddress(path)
}

/** A path as it was spelt, less its source route. Null where the route itself is malformed. */
export function withoutSourceRoute(text: string): string | null {
  if (!text.startsWith('@')) return text
  const route = SOURCE_ROUTE.exec(text)?.[1]
  if (route === undefined) return null
  return route.split(',').every((hop) => isDomain(hop.slice(1))) ? text.slice(route.length + 1) : null
}

/** A path as it was spelt, less the root's dot at the end of its domain: others need not take it — RFC 5321 §2.3.5, §4.1.2. */
export function withoutRootDot(text: string): string {
  return text.replace(/\.$/, '')
}

/** The wire form: the local part quoted where it must be. */
export function formatPath({ localPart, domain }: Address): string {
  const local = ATEXT.test(localPart) ? localPart : `"${localPart.replaceAll(/["\\]/g, '\\$&')}"`
  return domain === null ? local : `${local}@${domain}`
}

/** Lower-case A-labels, or an address literal in lower case. Null where it is no domain. */
export function normalizeDomain(domain: string): string | null {
  if (domain.startsWith('[')) return isLiteral(domain) ? domain.toLowerCase() : null
  return toAscii(domain)
}

/** For comparing addresses of our own domains, whose local parts match without regard to case. Null where it is no address. */
export function normalizeAddress(text: string): string | null {
  const address = parseAddress(text)
  if (address === null || address.domain === null) return null
  const domain = normalizeDomain(address.domain)
  if (domain === null) return null
  return formatPath({ localPart: address.localPart.normalize('NFC').toLowerCase(), domain })
}

/** Whether a path or domain needs SMTPUTF8 — RFC 6531 §3.3. */
export function isAscii(text: string): boolean {
  return !/[^\x00-\x7f]/.test(text)
}

/** With the domain in A-labels, which every host takes; null when the local part needs SMTPUTF8 — RFC 6531 §3.2. */
export function asciiPath(path: string): string | null {
  if (isAscii(path)) return path
  const at = path.lastIndexOf('@')
  const localPart = path.slice(0, at)
  const domain = normalizeDomain(path.slice(at + 1))
  return at > 0 && isAscii(localPart) && domain !== null ? `${localPart}@${domain}` : null
}

function parseLocalPart(text: string): string | null {
  if (Buffer.byteLength(text) > MAX_LOCAL_PART) return null
  if (ATEXT.test(text)) return text
  const quoted = QUOTED.exec(text)?.[1]
  return quoted === undefined ? null : quoted.replaceAll(/\\(.)/gu, '$1')
}

function isDomain(text: string): boolean {
  return text.startsWith('[') ? isLiteral(text) : toAscii(text) !== null
}

/** Also takes the root's dot at the end, which some clients send, and drops it. */
function toAscii(domain: string): string | null {
  const name = withoutRootDot(domain)
  if (isAscii(name)) return isAsciiName(name) ? name.toLowerCase() : null
  if (!name.split('.').every((label) => UNICODE_LABEL.test(label))) return null
  const ascii = domainToASCII(name)
  return isAsciiName(ascii) ? ascii : null
}

function isAsciiName(name: string): boolean {
  if (name.length > MAX_DOMAIN) return false
  return name.split('.').every((label) => label.length <= MAX_LABEL && ASCII_LABEL.test(label))
}

/** IPv4 and IPv6. RFC 5321 §4.1.3 leaves room for other families by tags that a standard must define; none does. */
function isLiteral(text: string): boolean {
  if (!text.endsWith(']') || text.length > MAX_DOMAIN) return false
  const content = text.slice(1, -1)
  if (/^IPv6:/i.test(content)) return isIPv6(content.slice(5)) && !content.includes('%')
  return isIPv4(content)
}
