/**
 * The Received field we put in front of every message.
 *
 * STANDARDS  RFC 5321 §4.4 (Time-stamp-line), §4.1.3 (address literals); RFC 3848, RFC 6531 §4.3 (with); RFC 8314 §4.3 (tls)
 */
import { isIPv6 } from 'node:net'

import { formatDate } from '@postbus/message'
import { parseAddress } from '@postbus/smtp'

export interface Client {
  /** As the client said it: anything. */
  helo: string
  address: string
  /** What its address is called, when that leads back to it. */
  hostname: string | null
  tls: { version: string; cipher: string } | null
  /** `ESMTP`, `ESMTPSA`, `UTF8SMTPS` … */
  protocol: string
}

export interface TraceFacts {
  client: Client
  /** Our name. */
  hostname: string
  queueId: string
  /** RFC 5321 §7.2: named only when it is the only one, so that nobody learns of the others. */
  recipient: string | null
  receivedAt: Date
}

/** Domain or address literal — RFC 5321 §4.1.1.1. Whatever else a client says stays out of our header. */
const HELO = /^(?:[A-Za-z0-9](?:[A-Za-z0-9._-]{0,253}[A-Za-z0-9])?|\[[A-Za-z0-9.:]{2,60}\])$/
/** Printable, and nothing that begins a comment, a quoted string or the date. */
const ATOM = /^[\x21-\x27\x2a-\x3a\x3c-\x5b\x5d-\x7e]+$/

export function receivedField({ client, hostname, queueId, recipient, receivedAt }: TraceFacts): string {
  const literal = isIPv6(client.address) ? `[IPv6:${client.address}]` : `[${client.address}]`
  const from = HELO.test(client.helo) ? client.helo : literal
  const tcpInfo = client.hostname === null ? literal : `${client.hostname} ${literal}`
  const tls = client.tls === null ? '' : ` (${client.tls.version} ${client.tls.cipher})`
  const forWhom =
    recipient !== null && parseAddress(recipient) !== null && ATOM.test(recipient) ? ` for <${recipient}>` : ''
  return [
    `Received: from ${from} (${tcpInfo})`,
    `by ${hostname} with ${client.protocol}${tls}`,
    `id ${queueId}${forWhom};`,
    `${formatDate(receivedAt)}\r\n`,
  ].join('\r\n\t')
}
