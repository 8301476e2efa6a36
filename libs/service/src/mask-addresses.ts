/**
 * Takes mail addresses out of log lines, wherever in a line they are: in a field, in what a peer said, in an error's text.
 *
 * A hash is keyed and the same everywhere, so that lines about one address can be found by whoever has the key and by nobody who
 * merely guesses addresses.
 *
 * STANDARDS  RFC 5321 §4.1.2 (Mailbox: dot-string or quoted-string, a domain or an address literal), RFC 6531 §3.3 (and UTF-8)
 */
import { createHmac } from 'node:crypto'

export type AddressForm = 'full' | 'domain' | 'hash'

/**
 * A line is JSON, so a quoted local-part is `\"…\"` in it. What only looks like an address (a Message-ID, the user of a URL) is taken out
 * as well: better one too many. Lengths are bounded (RFC 5321 §4.5.3.1.3: a path has 256 octets), or a long line would cost its square.
 */
const ADDRESS =
  /(?:\\"(?:[^"\\]|\\\\\\?.){0,256}\\"|[^\s"\\<>()[\],;:@=]{1,256})@(\[[^\]\s"\\]*\]|[^\s"\\<>()[\],;:@'?!]*[^\s"\\<>()[\],;:@'?!.])/gu

const HASH_CHARACTERS = 16

/** @returns null where nothing is to be taken out */
export function addressMask(form: AddressForm, key: Buffer | null): ((line: string) => string) | null {
  if (form === 'full') return null
  return (line) =>
    line.includes('@')
      ? line.replaceAll(ADDRESS, (address, domain: string) =>
          form === 'domain' || key === null ? `*@${domain}` : hashedAddress(address, key),
        )
      : line
}

/** HMAC-SHA-256 of the address in lower case, its first 16 hexadecimal digits. */
export const hashedAddress = (address: string, key: Buffer): string =>
  `#${createHmac('sha256', key).update(address.toLowerCase()).digest('hex').slice(0, HASH_CHARACTERS)}`
