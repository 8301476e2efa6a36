/**
 * Applies a Content-Transfer-Encoding while the octets pass by. What comes out has lines of 76 octets at most, CRLF at their
 * ends, nothing above 127, and no line that begins with a hyphen: it can never look like a boundary.
 *
 * STANDARDS  RFC 2045 §6.7 (quoted-printable), §6.8 (base64)
 */
export interface TransferEncoder {
  write(bytes: Uint8Array): Buffer
  end(): Buffer
}

export function transferEncoder(encoding: 'quoted-printable' | 'base64'): TransferEncoder {
  return encoding === 'base64' ? new Base64Encoder() : new QuotedPrintableEncoder()
}

/** 76 letters. */
const OCTETS_PER_LINE = 57

class Base64Encoder implements TransferEncoder {
  #rest = Buffer.alloc(0)
  #first = true

  write(bytes: Uint8Array): Buffer {
    const data = Buffer.concat([this.#rest, bytes])
    const whole = data.length - (data.length % OCTETS_PER_LINE)
    this.#rest = Buffer.from(data.subarray(whole))
    return this.#lines(data.subarray(0, whole))
  }

  end(): Buffer {
    const rest = this.#rest
    this.#rest = Buffer.alloc(0)
    return this.#lines(rest)
  }

  /** Line ends stand between lines: the one after the last belongs to what follows. */
  #lines(data: Buffer): Buffer {
    const lines: string[] = []
    for (let at = 0; at < data.length; at += OCTETS_PER_LINE) {
      lines.push(`${this.#first ? '' : '\r\n'}${data.toString('base64', at, at + OCTETS_PER_LINE)}`)
      this.#first = false
    }
    return Buffer.from(lines.join(''))
  }
}

const TAB = 0x09
const LF = 0x0a
const CR = 0x0d
const SPACE = 0x20
const HYPHEN = 0x2d
const EQUALS = 0x3d

/** Without the soft break that may follow. */
const MAX_LINE = 75

class QuotedPrintableEncoder implements TransferEncoder {
  /** A blank or CR whose meaning the next octet decides. */
  #held: number | undefined
  #column = 0
  #out: string[] = []

  write(bytes: Uint8Array): Buffer {
    for (const octet of bytes) this.#take(octet)
    return this.#flush()
  }

  end(): Buffer {
    if (this.#held !== undefined) this.#put(escaped(this.#held))
    this.#held = undefined
    return this.#flush()
  }

  #take(octet: number): void {
    const held = this.#held
    this.#held = undefined
    if (held === CR && octet === LF) return this.#breakLine()
    // A blank at the end of a line would be lost on the way.
    if (held !== undefined) this.#put(held === CR || octet === CR ? escaped(held) : String.fromCharCode(held))
    if (octet === CR || octet === SPACE || octet === TAB) this.#held = octet
    else this.#put(isPlain(octet) ? String.fromCharCode(octet) : escaped(octet))
  }

  #breakLine(): void {
    this.#out.push('\r\n')
    this.#column = 0
  }

  #put(text: string): void {
    if (this.#column + text.length > MAX_LINE) {
      this.#out.push('=')
      this.#breakLine()
    }
    const safe = this.#column === 0 && text === '-' ? escaped(HYPHEN) : text
    this.#out.push(safe)
    this.#column += safe.length
  }

  #flush(): Buffer {
    const bytes = Buffer.from(this.#out.join(''), 'latin1')
    this.#out = []
    return bytes
  }
}

const isPlain = (octet: number): boolean => octet > SPACE && octet < 0x7f && octet !== EQUALS

const escaped = (octet: number): string => `=${octet.toString(16).toUpperCase().padStart(2, '0')}`
