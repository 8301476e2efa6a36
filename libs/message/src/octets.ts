/**
 * Header values in the MIME tree are octet strings: one character (U+0000–U+00FF) per octet of the message. They travel in
 * JSON unharmed, whatever the octets are, and IMAP can count and send them without knowing their charset.
 */
import { headerText } from './header.ts'

export function octetString(bytes: Buffer): string {
  return bytes.toString('latin1')
}

export function octetsOf(value: string): Buffer {
  return Buffer.from(value, 'latin1')
}

/** For people: UTF-8 where the octets are that, otherwise each octet as its Latin-1 character. */
export function octetsToText(value: string): string {
  return headerText(octetsOf(value))
}
