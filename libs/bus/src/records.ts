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
  const json = Buffer.from(JSON.stringify(row))
  const body = U32 + json.length + byteStrings.reduce((sum, { length }) => sum + U32 + length, 0)
  if (body > MAX_RECORD_BYTES) throw new Error(`a row of ${body} bytes, more than ${MAX_RECORD_BYTES}`)
  return [u32(body), u32(json.length), json, ...byteStrings.flatMap((bytes) => [u32(bytes.length), bytes])]
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

  /** Nothing of a record is left over. */
  get atBoundary(): boolean {
    return this.#held === 0
  }

  /** Records that are complete with this piece, in order. */
  *push(piece: Uint8Array): Iterable<DecodedRecord> {
    this.#pieces.push(piece)
    this.#held += piece.length
    for (;;) {
      const length = this.#peekLength()
      if (length === undefined || this.#held < U32 + length) return
      this.#take(U32)
      yield decode(this.#take(length))
    }
  }

  #peekLength(): number | undefined {
    if (this.#held < U32) return undefined
    const length = Buffer.from(this.#bytes(U32)).readUInt32BE()
    if (length < U32 || length > MAX_RECORD_BYTES) throw new Error(`a record of ${length} bytes`)
    return length
  }

  /** The first bytes in one piece, left where they are. */
  #bytes(count: number): Uint8Array {
    const [first] = this.#pieces
    if (first && first.length >= count) return first.subarray(0, count)
    const joined = Buffer.concat(this.#pieces)
    this.#pieces = [joined]
    return joined.subarray(0, count)
  }

  #take(count: number): Uint8Array {
    const taken = this.#bytes(count)
    const [first, ...rest] = this.#pieces
    this.#held -= count
    this.#pieces = first && first.length > count ? [first.subarray(count), ...rest] : rest
    return taken
  }
}

function decode(record: Uint8Array): DecodedRecord {
  const view = Buffer.from(record.buffer, record.byteOffset, record.byteLength)
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
