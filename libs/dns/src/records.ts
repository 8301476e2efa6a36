/**
 * The record types that can be asked for, and how the data of each is read. A further type is a line in `readers`.
 *
 * dns-packet reads the data; what it says is made ours here, and checked where its reader does not look at the length.
 *
 * STANDARDS  RFC 1035 §3.3 (MX, CNAME, PTR, TXT, NS), RFC 3596 §2.2 (AAAA), RFC 6698 §2.1 (TLSA)
 */
import { Buffer } from 'node:buffer'

import { a, aaaa, mx, ptr, tlsa, txt } from 'dns-packet'

import { receivedName } from './names.ts'
import type { Codec } from './dns-packet.ts'

export interface MxRecord {
  /** Lower is tried first. */
  preference: number
  /** Lower case, without the final dot; empty in a null MX — RFC 7505. */
  exchange: string
}

export interface TlsaRecord {
  usage: number
  selector: number
  matchingType: number
  certificate: Buffer
}

/** What a record of each type is to whoever asks. */
export interface Records {
  A: string
  AAAA: string
  CNAME: string
  MX: MxRecord
  NS: string
  PTR: string
  TLSA: TlsaRecord
  /** The octets of all its strings, joined — as RFC 6376 §3.6.2.2 and its like want them. */
  TXT: Buffer
}

export type RecordType = keyof Records

export interface Reader<T> {
  /** IANA's number of the type. */
  code: number
  /**
   * @param window the message up to the end of this record's data, so that nothing behind it can be read
   * @param at where the length of the data stands, in front of it
   */
  read(window: Buffer, at: number): T
}

export const readers: { readonly [T in RecordType]: Reader<Records[T]> } = {
  A: reader(1, a, (address) => address),
  NS: reader(2, ptr, receivedName),
  CNAME: reader(5, ptr, receivedName),
  PTR: reader(12, ptr, receivedName),
  MX: reader(15, mx, ({ preference, exchange }) => ({ preference, exchange: receivedName(exchange) })),
  TXT: reader(16, txt, (strings) => Buffer.concat(strings)),
  AAAA: reader(28, aaaa, (address) => address),
  TLSA: reader(52, tlsa, ({ usage, selector, matchingType, certificate }) => ({
    ...{ usage, selector, matchingType },
    // A copy: the record may be kept long after the message.
    certificate: Buffer.from(certificate),
  })),
}

function reader<Raw, T>(code: number, codec: Codec<Raw>, made: (raw: Raw) => T): Reader<T> {
  return {
    code,
    read(window, at) {
      const raw = codec.decode(window, at)
      // Some of its readers take what they need and do not look at the length: then the two must agree.
      if (at + codec.decode.bytes !== window.length) throw new RangeError('a record longer or shorter than its data')
      return made(raw)
    },
  }
}
