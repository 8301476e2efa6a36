/** The parts of dns-packet that its types leave out: the readers of single names and records. */
import type { Buffer } from 'node:buffer'

/** `decode.bytes` is how much the last call took: to be read before the next one. */
export interface Codec<Raw> {
  decode: { (message: Buffer, offset: number): Raw; bytes: number }
}

declare module 'dns-packet' {
  export const name: Codec<string>
  export const a: Codec<string>
  export const aaaa: Codec<string>
  export const ptr: Codec<string>
  export const mx: Codec<{ preference: number; exchange: string }>
  export const txt: Codec<Buffer[]>
  export const tlsa: Codec<{ usage: number; selector: number; matchingType: number; certificate: Buffer }>
  export const soa: Codec<{ minimum: number }>
}
