/**
 * The Received field: who gave us the message, how, and when.
 *
 * What a client says about itself is put in only where it is a domain or an address literal; anything else is shown in a
 * comment, reduced to characters that can end neither the comment nor the line.
 *
 * STANDARDS  RFC 5321 §4.4 (trace information), §7.6 (`for` discloses), RFC 3848 and RFC 6531 §4.3 (protocol names),
 *            RFC 8314 §4.3 (tls clause), RFC 5322 §2.1.1 (line length), §3.3 (date)
 */
import type { Envelope, QueueId } from '@postbus/contracts'
import { formatDate } from '@postbus/message'
import { isAscii, normalizeDomain } from '@postbus/smtp'

export interface Client {
  /** As given with HELO or EHLO. */
  helo: string
  address: string
  /** From reverse DNS. */
  hostname: string | null
  tls: { version: string; cipher: string } | null
  /** ESMTP, ESMTPS, ESMTPSA, UTF8SMTPSA … */
  protocol: string
}

/** RFC 5322 §2.1.1: a line has at most 998 octets. */
const MAX_PATH = 900
/** Nothing that could begin a comment or the date; quoted local parts with such characters are left out. */
const PATH = /^[^\s<>();"\\]+$/
const SHOWN_HELO = 64

/** The whole field, folded, without the CRLF at its end. */
export function receivedField(
  client: Client,
  hostname: string,
  queueId: QueueId,
  { recipients, smtputf8 }: Envelope,
  at: Date,
): string {
  const lines = [
    `Received: from ${fromDomain(client, smtputf8)}`,
    `by ${hostname} with ${atom(client.protocol)} id ${queueId}`,
  ]
  const [only, ...others] = recipients
  // With several recipients it would tell each of the others — RFC 5321 §7.6.
  const path = others.length === 0 ? only?.forwardPath : undefined
  if (path !== undefined && PATH.test(path) && Buffer.byteLength(path) <= MAX_PATH && (smtputf8 || isAscii(path))) {
    lines.push(`for <${path}>`)
  }
  if (client.tls) lines.push(tlsClause(client.tls))
  return `${lines.join('\r\n\t')};\r\n\t${formatDate(at)}`
}

/** Extended-Domain: what it called itself, and in the comment what we know of it. */
function fromDomain({ helo, hostname, address }: Client, smtputf8: boolean): string {
  const literal = addressLiteral(address)
  const known = hostname === null ? null : asDomain(hostname, smtputf8)
  const tcpInfo = known === null ? literal : `${known} ${literal}`
  const said = asDomain(helo, smtputf8)
  return said === null ? `${literal} (${tcpInfo}) (helo=${harmless(helo)})` : `${said} (${tcpInfo})`
}

/** The spelling stays where it may. */
function asDomain(text: string, smtputf8: boolean): string | null {
  const normal = normalizeDomain(text)
  if (normal === null) return null
  return smtputf8 || isAscii(text) ? text : normal
}

function addressLiteral(address: string): string {
  // A link-local address has a zone that means nothing to anybody else.
  const plain = harmless(address.replace(/%.*$/, '').replace(/^::ffff:(?=\d+\.)/i, ''))
  return plain.includes(':') ? `[IPv6:${plain}]` : `[${plain}]`
}

function harmless(text: string): string {
  const shown = text.slice(0, SHOWN_HELO).replaceAll(/[^A-Za-z0-9.:_-]/g, '?')
  return shown === '' ? '?' : shown
}

const atom = (text: string): string => text.replaceAll(/[^A-Za-z0-9-]/g, '')

/** The cipher's registered name is a clause of its own; OpenSSL's private names only fit a comment. */
function tlsClause({ version, cipher }: { version: string; cipher: string }): string {
  return /^TLS_[A-Z0-9_]+$/.test(cipher)
    ? `tls ${cipher} (${harmless(version)})`
    : `(${harmless(version)} ${harmless(cipher)})`
}
