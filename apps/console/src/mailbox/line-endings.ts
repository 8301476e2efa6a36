/** Line ends between the wire (CRLF) and files (LF). Streamed, as many pieces as come; a CR that ends no line is content and stays. */
import { CrlfEncoder } from '@postbus/message'

const CR = 0x0d
const LF = 0x0a
const CR_BYTES = Uint8Array.of(CR)

/** Every line ends in CRLF, whatever it ended in. */
export async function* toCrlf(octets: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const encoder = new CrlfEncoder()
  for await (const chunk of octets) yield encoder.write(chunk)
}

/** CRLF becomes LF. */
export async function* toLf(octets: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let heldBack = false
  for await (const chunk of octets) {
    if (chunk.length === 0) continue
    const parts: Uint8Array[] = heldBack && chunk[0] !== LF ? [CR_BYTES] : []
    heldBack = chunk[chunk.length - 1] === CR
    const end = heldBack ? chunk.length - 1 : chunk.length
    let from = 0
    for (let at = chunk.indexOf(CR); at !== -1 && at < end; at = chunk.indexOf(CR, at + 1)) {
      if (chunk[at + 1] !== LF) continue
      parts.push(chunk.subarray(from, at))
      from = at + 1
    }
    yield Buffer.concat([...parts, chunk.subarray(from, end)])
  }
  if (heldBack) yield CR_BYTES
}
