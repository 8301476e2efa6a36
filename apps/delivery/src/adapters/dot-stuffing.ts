/**
 * A message as it goes over the wire after DATA: a dot before every line that begins with one, CRLF alone as the end of a line, and the
 * line that ends it all. A bare CR or LF becomes CRLF, and a dot after it is one at the beginning of a line: else a peer that takes it
 * for an end of line could find the end of the message, and commands, in the middle of it.
 *
 * STANDARDS  RFC 5321 §2.3.8, §4.1.1.4, §4.5.2
 */
const LF = 10
const CR = 13
const DOT = 46

const LF_ONLY = Buffer.from('\n')
const CR_ONLY = Buffer.from('\r')
const DOT_ONLY = Buffer.from('.')
const LF_DOT = Buffer.from('\n.')
const FINAL = Buffer.from('.\r\n')
const FINAL_AFTER_CR = Buffer.from('\n.\r\n')
const FINAL_AFTER_OTHERS = Buffer.from('\r\n.\r\n')

export class DotStuffing {
  /** The last octet that came; null at the beginning. */
  #last: number | null = null

  /** @returns what goes out for these octets of the message, in order; the octets themselves are not copied */
  next(chunk: Uint8Array): Uint8Array[] {
    const pieces: Uint8Array[] = []
    const { length } = chunk
    if (length === 0) return pieces
    let sent = 0
    const put = (at: number, inserted: Uint8Array): void => {
      if (at > sent) pieces.push(chunk.subarray(sent, at))
      pieces.push(inserted)
      sent = at
    }

    const first = chunk[0]
    if (this.#last === CR && first !== LF) put(0, first === DOT ? LF_DOT : LF_ONLY)
    else if ((this.#last === LF || this.#last === null) && first === DOT) put(0, DOT_ONLY)
    for (let at = 0; at < length; at++) {
      const octet = chunk[at] as number
      // Of all octets few are this low: one comparison for each of the others.
      if (octet > CR) continue
      const following = at + 1 < length ? chunk[at + 1] : null
      if (octet === LF) {
        if ((at > 0 ? chunk[at - 1] : this.#last) !== CR) put(at, CR_ONLY)
        if (following === DOT) put(at + 1, DOT_ONLY)
      } else if (octet === CR && following !== null && following !== LF) {
        put(at + 1, following === DOT ? LF_DOT : LF_ONLY)
      }
    }
    this.#last = chunk[length - 1] as number
    if (pieces.length === 0) return [chunk]
    if (sent < length) pieces.push(chunk.subarray(sent))
    return pieces
  }

  /** @returns the end of the last line, if it has none, and the line with the final dot */
  end(): Uint8Array {
    if (this.#last === LF) return FINAL
    return this.#last === CR ? FINAL_AFTER_CR : FINAL_AFTER_OTHERS
  }
}
