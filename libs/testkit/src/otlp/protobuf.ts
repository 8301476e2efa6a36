/** Reads protobuf's wire format far enough for OTLP: varint, fixed64, fixed32 and length-delimited fields. */

/** By field number, in the order they came. Varints and fixed integers are bigints, all else bytes. */
export type Fields = ReadonlyMap<number, readonly (bigint | Buffer)[]>

const VARINT = 0
const FIXED64 = 1
const DELIMITED = 2
const FIXED32 = 5

/** @throws when it is no protobuf */
export function readFields(bytes: Buffer): Fields {
  const fields = new Map<number, (bigint | Buffer)[]>()
  let at = 0
  while (at < bytes.length) {
    const tag = varint()
    const value = read(Number(tag & 7n))
    const number = Number(tag >> 3n)
    const values = fields.get(number)
    if (values) values.push(value)
    else fields.set(number, [value])
  }
  return fields

  function varint(): bigint {
    let value = 0n
    for (let shift = 0n; ; shift += 7n) {
      const byte = bytes[at++]
      if (byte === undefined || shift > 63n) throw new Error('a varint without an end')
      value |= BigInt(byte & 0x7f) << shift
      if (byte < 0x80) return value
    }
  }

  function read(wireType: number): bigint | Buffer {
    switch (wireType) {
      case VARINT:
        return varint()
      case FIXED64:
        return take(8).readBigUInt64LE()
      case FIXED32:
        return BigInt(take(4).readUInt32LE())
      case DELIMITED:
        return take(Number(varint()))
      default:
        throw new Error(`wire type ${wireType}`)
    }
  }

  function take(length: number): Buffer {
    if (at + length > bytes.length) throw new Error('a field longer than its message')
    at += length
    return bytes.subarray(at - length, at)
  }
}

export const messagesIn = (fields: Fields, number: number): Buffer[] =>
  (fields.get(number) ?? []).filter((value) => typeof value !== 'bigint')

export const bytesIn = (fields: Fields, number: number): Buffer => messagesIn(fields, number).at(-1) ?? Buffer.alloc(0)

export const integerIn = (fields: Fields, number: number): bigint => {
  const value = fields.get(number)?.at(-1)
  return typeof value === 'bigint' ? value : 0n
}
