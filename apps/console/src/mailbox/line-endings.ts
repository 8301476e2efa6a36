/** Line ends between the wire (CRLF) and files (LF). Streamed; a CR that ends no line is content and stays. */
const CR = 0x0d
const LF = 0x0a
const CR_BYTES = Uint8Array.of(CR)

/** Every line ends in CRLF, whatever it ended in. */
export async function* toCrlf(octets: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let last = 0
  for await (const chunk of octets) {
    let from = 0
    for (let at = chunk.indexOf(LF); at !== -1; at = chunk.indexOf(LF, at + 1)) {
      if ((at === 0 ? last : chunk[at - 1]) === CR) continue
      if (at > from) yield chunk.subarray(from, at)
      yield CR_BYTES
      from = at
    }
    if (from < chunk.length) yield chunk.subarray(from)
    last = chunk.at(-1) ?? last
  }
}

/** CRLF becomes LF. */
export async function* toLf(octets: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let heldBack = false
  for await (const chunk of octets) {
    if (chunk.length === 0) continue
    if (heldBack && chunk[0] !== LF) yield CR_BYTES
    heldBack = chunk[chunk.length - 1] === CR
    const end = heldBack ? chunk.length - 1 : chunk.length
    let from = 0
    for (let at = chunk.indexOf(CR); at !== -1 && at < end; at = chunk.indexOf(CR, at + 1)) {
      if (chunk[at + 1] !== LF) continue
      if (at > from) yield chunk.subarray(from, at)
      from = at + 1
    }
    if (from < end) yield chunk.subarray(from, end)
  }
  if (heldBack) yield CR_BYTES
}
