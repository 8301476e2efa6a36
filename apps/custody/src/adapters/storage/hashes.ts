/**
 * What messages are looked up by, as numbers: shorter in an index than a Message-ID or an address, which the row itself has
 * to confirm afterwards. In front of each stands the hour of acceptance, so that new entries go to the few pages that are at
 * hand, however large the index has grown; a look-up asks hour by hour.
 */
import { hash } from 'node:crypto'

export const HOUR_MS = 3_600_000
/** Hexadecimal digits of the hash: a number that is exact in a double. */
const DIGITS = 12

export const hourOf = (acceptedAt: string | number): number => Math.floor(new Date(acceptedAt).getTime() / HOUR_MS)

/** Case counts — RFC 5322 §3.6.4. */
export const hashOfMessageId = (messageId: string): number =>
  Number.parseInt(hash('sha256', messageId).slice(0, DIGITS), 16)

/** Case does not: whoever looks for an address does not know how it was written. */
export const hashOfAddress = (address: string): number => hashOfMessageId(address.toLowerCase())
