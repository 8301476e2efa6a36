/**
 * What the client sends after DATA: where it ends, and what of it is content.
 *
 * Only CRLF "." CRLF ends it, whatever the chunks it comes in. A bare CR or LF never ends a line, so that no two servers
 * on a message's way can disagree about where it ends (SMTP smuggling).
 *
 * STANDARDS  RFC 5321 §4.1.1.4 (end of data), §4.5.2 (transparency), §4.5.3.1.6 (text lines), §2.3.8 (CR and LF only together)
 */

export interface DataRules {
  /** `refuse`: the message is refused. `repair`: a bare CR or LF becomes CRLF, for old devices that know no better. */
  bareLineEndings: 'refuse' | 'repair'
  /** Octets of one text line with its CRLF; RFC 5321 §4.5.3.1.6 asks for 1000 at least. */
  maxTextLine: number
}

export type DataFault = 'bareLineEnding' | 'lineTooLong'

export interface DataPart {
  /** Content in order, dots of transparency removed. Empty once a fault is known. */
  content: Buffer[]
  /** What follows the end of the message: null while it has not come. */
  rest: Buffer | null
}

const CR = 0x0d
const LF = 0x0a
const DOT = 0x2e
const EMPTY = Buffer.alloc(0)
const CRLF = Buffer.from('\r\n')
const TERMINATOR = Buffer.from('\r\n.\r\n')

export class DataFraming {
  readonly #rules: DataRules
  #fault: DataFault | null = null
  /** Whether the next octet begins a line, in the only sense that counts: after CRLF, or at the very beginning. */
  #atLineStart = true
  #lineLength = 0
  /** Octets whose meaning the next chunk decides: at most a dot and a CR. */
  #held: Buffer = EMPTY
  /** Set once content no longer matters; then only the end is looked for. */
  #discarding = false

  constructor(rules: DataRules) {
    this.#rules = rules
  }

  get fault(): DataFault | null {
    return this.#fault
  }

  /** From now on only the end counts. */
  discard(): void {
    if (this.#discarding) return
    this.#discarding = true
    // The search is for CRLF "." CRLF; at the start of a line the first CRLF is already behind us.
    if (this.#atLineStart) this.#held = Buffer.concat([CRLF, this.#held])
  }

  feed(chunk: Buffer): DataPart {
    const bytes = this.#held.length === 0 ? chunk : Buffer.concat([this.#held, chunk])
    this.#held = EMPTY
    return this.#discarding ? this.#seekEnd(bytes) : this.#read(bytes)
  }

  #read(bytes: Buffer): DataPart {
    const content: Buffer[] = []
    let from = 0
    let at = 0
    // Each is looked for again only once it is passed: a chunk of nothing but CRs costs its length, not the square of it.
    let cr = -1
    let lf = -1
    const give = (end: number): void => {
      if (end > from) content.push(bytes.subarray(from, end))
    }

    while (at < bytes.length) {
      if (this.#atLineStart && bytes[at] === DOT) {
        const next = bytes[at + 1]
        if (next === undefined || (next === CR && at + 2 === bytes.length)) return this.#hold(bytes, at, content, give)
        give(at)
        if (next === CR && bytes[at + 2] === LF) return { content, rest: bytes.subarray(at + 3) }
        at++ // RFC 5321 §4.5.2: the first character of the line is deleted.
        from = at
        this.#atLineStart = false
      }
      if (lf < at) lf = position(bytes.indexOf(LF, at), Infinity)
      if (cr < at) cr = position(bytes.indexOf(CR, at), bytes.length)
      if (lf === cr + 1) {
        this.#lineLength += lf + 1 - at
        if (this.#lineLength > this.#rules.maxTextLine) return this.#fail('lineTooLong', bytes.subarray(cr))
        this.#lineLength = 0
        this.#atLineStart = true
        at = lf + 1
        continue
      }
      // No line ends here: the chunk does, perhaps between CR and LF, or a CR or LF stands alone.
      const stop = Math.min(lf, cr)
      this.#lineLength += stop - at
      if (stop > at) this.#atLineStart = false
      if (this.#lineLength > this.#rules.maxTextLine) return this.#fail('lineTooLong', bytes.subarray(stop))
      if (stop === bytes.length) break
      if (stop === cr && cr + 1 === bytes.length) return this.#hold(bytes, cr, content, give)
      this.#atLineStart = false
      if (this.#rules.bareLineEndings === 'refuse') return this.#fail('bareLineEnding', bytes.subarray(stop + 1))
      give(stop)
      content.push(CRLF)
      this.#lineLength = 0
      at = stop + 1
      from = at
    }
    give(bytes.length)
    return { content, rest: null }
  }

  #hold(bytes: Buffer, at: number, content: Buffer[], give: (end: number) => void): DataPart {
    give(at)
    this.#held = bytes.subarray(at)
    return { content, rest: null }
  }

  #fail(fault: DataFault, remaining: Buffer): DataPart {
    this.#fault = fault
    this.#discarding = true
    return this.#seekEnd(remaining)
  }

  #seekEnd(bytes: Buffer): DataPart {
    const end = bytes.indexOf(TERMINATOR)
    if (end >= 0) return { content: [], rest: bytes.subarray(end + TERMINATOR.length) }
    this.#held = Buffer.from(bytes.subarray(Math.max(0, bytes.length - TERMINATOR.length + 1)))
    return { content: [], rest: null }
  }
}

/** Where something was found, or where to think of it when it was not. */
const position = (found: number, otherwise: number): number => (found < 0 ? otherwise : found)
