/**
 * The data of one message off the wire: ended by CRLF.CRLF only, dot-stuffing undone, in pieces, so that a large message need
 * not be held.
 *
 * STANDARDS  RFC 5321 §4.1.1.4, §4.5.2
 */
import { createHash } from 'node:crypto'

const END = Buffer.from('\r\n.\r\n')
const LEADING_DOT = Buffer.from('\r\n.')

export class DataReader {
  readonly #keep: boolean
  readonly #pieces: Buffer[] = []
  readonly #hash = createHash('sha256')
  #bytes = 0
  /** What may yet turn out to be the end. The line end before the first line was DATA's own. */
  #held = Buffer.from('\r\n')
  #ofCommand = 2

  constructor(keep: boolean) {
    this.#keep = keep
  }

  /** @returns what follows the end of the data; null when it has not come. */
  read(chunk: Buffer): Buffer | null {
    const buffer = Buffer.concat([this.#held, chunk])
    const end = buffer.indexOf(END)
    const sure = end < 0 ? Math.max(buffer.length - (END.length - 1), 0) : end + 2
    let from = 0
    for (;;) {
      const dot = buffer.indexOf(LEADING_DOT, from)
      if (dot < 0 || dot >= sure || dot === end) break
      this.#take(buffer.subarray(from, dot + 2))
      from = dot + LEADING_DOT.length
    }
    if (from < sure) this.#take(buffer.subarray(from, sure))
    this.#held = buffer.subarray(Math.max(from, sure))
    return end < 0 ? null : buffer.subarray(end + END.length)
  }

  get result(): { data: Buffer; bytes: number; sha256: string } {
    return { data: Buffer.concat(this.#pieces), bytes: this.#bytes, sha256: this.#hash.copy().digest('hex') }
  }

  #take(part: Buffer): void {
    const piece = part.subarray(Math.min(this.#ofCommand, part.length))
    this.#ofCommand -= part.length - piece.length
    this.#bytes += piece.length
    this.#hash.update(piece)
    if (this.#keep) this.#pieces.push(piece)
  }
}
