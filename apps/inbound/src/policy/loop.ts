/**
 * Mail that goes round in circles is stopped by the trace it carries.
 *
 * STANDARDS  RFC 5321 §6.3 (loops are found by counting Received fields)
 */
import { parseHeader } from '@postbus/message'
import { SmtpError } from '@postbus/smtp'

/** @throws the refusal when the message has passed more hosts than `maxHops` */
export function stopLoop(header: Uint8Array, maxHops: number): void {
  const hops = parseHeader(header).filter(({ name }) => name.toLowerCase() === 'received').length
  if (hops > maxHops) throw new SmtpError(554, '5.4.6', 'Too many hops; this message goes round in a loop')
}
