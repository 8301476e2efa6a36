/**
 * Rows as bytes. A record is one row: its JSON and its byte strings, each behind its length; records follow each other and are
 * cut into frames wherever a frame is full.
 *
 *   record  = u32 length of what follows | u32 length of JSON | JSON | { u32 length | bytes }
 */
/** A row with everything that belongs to it. More is refused at both ends: the reader must hold one whole. */
export const MAX_RECORD_BYTES = 16 * 1024 * 1024

const U32 = 4

export function encodeRecord(row: unknown, byteStrings: readonly Uint8Array[] = []): Uint8Array[] {
  const json = JSON.stringify(row)
  const jsonBytes = Buffer.byteLength(json)
  const body = U32 + jsonBytes + byteStrings.reduce((sum, { length }) => sum + U32 + length, 0)
  if (body > MAX_RECORD_BYTES) throw new Error(`a row of ${body} bytes, more than ${MAX_RECORD_BYTES}`)
  // One piece for all of a row without byte strings: there are thousands of them.
  const head = Buffer.allocUnsafe(2 * U32 + jsonBytes)
  head.writeUInt32BE(body)
  head.writeUInt32BE(jsonBytes, U32)
  head.write(json, 2 * U32)
  return [head, ...byteStrings.flatMap((bytes) => [u32(bytes.length), bytes])]
}

function u32(value: number): Uint8Array {
  const bytes = Buffer.allocUnsafe(U32)
  bytes.writeUInt32BE(value)
  return bytes
}

export interface DecodedRecord {
  row: unknown
  bytes: Uint8Array[]
}

/** Puts records together again from whatever pieces they come in. Throws on anything that is not records. */
export class RecordReader {
  #pieces: Uint8Array[] = []
  #held = 0
  /** With so many bytes the next record is complete, as far as is known. */
  #needed = U32

  /** Nothing of a record is left over. */
  get atBoundary(): boolean {
    return this.#held === 0
  }

  /** Records that are complete with this piece, in order. To be read to its end. */
  *push(piece: Uint8Array): Iterable<DecodedRecord> {
    this.#pieces.push(piece)
    this.#held += piece.length
    while (this.#held >= this.#needed) {
      const view = this.#joined()
      let at = 0
      for (let end = endOfRecord(view, at); end <= view.length; end = endOfRecord(view, at)) {
        yield decode(view.subarray(at + U32, end))
        at = end
      }
      const rest = view.subarray(at)
      this.#pieces = rest.length === 0 ? [] : [rest]
      this.#held = rest.length
      this.#needed = endOfRecord(rest, 0)
    }
  }

  #joined(): Buffer {
    const [first, ...others] = this.#pieces
    if (first === undefined || others.length > 0) return Buffer.concat(this.#pieces)
    return Buffer.from(first.buffer, first.byteOffset, first.byteLength)
  }
}

/** Where the record that begins at `at` ends; where its length does, while that is not there yet. */
function endOfRecord(view: Buffer, at: number): number {
  if (at + U32 > view.length) return at + U32
  const length = view.readUInt32BE(at)
  if (length < U32 || length > MAX_RECORD_BYTES) throw new Error(`a record of ${length} bytes`)
  return at + U32 + length
}

function decode(view: Buffer): DecodedRecord {
  const parts: Buffer[] = []
  for (let at = 0; at < view.length;) {
    if (at + U32 > view.length) throw new Error('a record ends inside a length')
    const length = view.readUInt32BE(at)
    at += U32
    if (at + length > view.length) throw new Error('a record ends inside a byte string')
    parts.push(view.subarray(at, at + length))
    at += length
  }
  const [json, ...bytes] = parts
  if (!json) throw new Error('a record without a row')
  return { row: JSON.parse(json.toString()), bytes }
}
