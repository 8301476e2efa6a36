/**
 * The body of a multi-line response: dots stuffed, the last line ended, `.` alone at the end — RFC 1939 §3. Streamed: a
 * chunk in, a chunk out.
 */
const CR = 0x0d
const LF = 0x0a
const DOT = 0x2e
const DOT_BYTES = Uint8Array.of(DOT)
const END = Buffer.from('.\r\n')
const CRLF = Buffer.from('\r\n')

export async function* multiline(body: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
  let atLineStart = true
  let last = LF
  for await (const chunk of body) {
    if (chunk.length === 0) continue
    yield* stuffed(chunk, atLineStart)
    last = chunk[chunk.length - 1] as number // chunk is not empty
    atLineStart = last === LF
  }
  // A CR that ends no line is content, as everywhere else.
  if (last !== LF) yield CRLF
  yield END
}

function* stuffed(chunk: Uint8Array, atLineStart: boolean): Iterable<Uint8Array> {
  let from = 0
  if (atLineStart && chunk[0] === DOT) yield DOT_BYTES
  for (let at = chunk.indexOf(LF); at !== -1; at = chunk.indexOf(LF, at + 1)) {
    if (chunk[at + 1] !== DOT) continue
    yield chunk.subarray(from, at + 1)
    yield DOT_BYTES
    from = at + 1
  }
  yield chunk.subarray(from)
}

/** The header, the empty line, and `lines` lines of the body — RFC 1939 §7, TOP. */
export async function* top(body: AsyncIterable<Uint8Array>, lines: number): AsyncIterable<Uint8Array> {
  let inHeader = true
  let left = lines
  // Length of the line read so far over chunks, without its end; an empty one ends the header.
  let lineLength = 0
  for await (const chunk of body) {
    for (let from = 0; from < chunk.length;) {
      const at = chunk.indexOf(LF, from)
      if (at === -1) {
        lineLength += withoutCr(chunk.subarray(from))
        break
      }
      lineLength += withoutCr(chunk.subarray(from, at))
      from = at + 1
      if (inHeader) inHeader = lineLength > 0
      else left--
      lineLength = 0
      if (!inHeader && left <= 0) return yield chunk.subarray(0, from)
    }
    yield chunk
  }
}

const withoutCr = (bytes: Uint8Array): number => (bytes[bytes.length - 1] === CR ? bytes.length - 1 : bytes.length)
