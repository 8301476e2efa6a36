/**
 * Undoes a Content-Transfer-Encoding while the octets pass by. Broken encodings are read as far as they make sense, as
 * every mail reader does: letters outside base64 are skipped, an escape that is none stands for itself. A decoder remembers that
 * it met such a place; what is none is what Dovecot takes for one.
 *
 * STANDARDS  RFC 2045 §6.7 (quoted-printable), §6.8 (base64)
 */

export interface TransferDecoder {
  write(bytes: Buffer): Buffer
  end(): Buffer
  /** What came so far is not what an encoder makes; final after `end`. */
  readonly damaged: boolean
}

export interface TransferOptions {
  /** Base64 ends with its padding, or where something stands that is none: what follows, a footer say, is not looked at. */
  toFirstEnd?: boolean
}

const NOTHING = Buffer.alloc(0)

/** Encodings other than base64 and quoted-printable leave the octets as they are. */
export function transferDecoder(encoding: string | undefined, options: TransferOptions = {}): TransferDecoder {
  switch (encoding?.toLowerCase()) {
    case 'base64':
      return new Base64Decoder(options)
    case 'quoted-printable':
      return new QuotedPrintableDecoder()
    default:
      return { write: (bytes) => bytes, end: () => NOTHING, damaged: false }
  }
}

export function decodeTransfer(bytes: Buffer, encoding: string | undefined): Buffer {
  const decoder = transferDecoder(encoding)
  return Buffer.concat([decoder.write(bytes), decoder.end()])
}

const PAD = 0x3d

/** 1 for a letter of base64. */
const LETTER = new Uint8Array(256)
for (const letter of 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/') {
  LETTER[letter.charCodeAt(0)] = 1
}

class Base64Decoder implements TransferDecoder {
  readonly #toFirstEnd: boolean
  #ended = false
  /** Letters of a quantum not complete yet. */
  #rest = NOTHING
  /** Nothing may follow padding. */
  #padded = false
  /** Of the padding, still to come. */
  #missingPads = 0
  #damaged = false

  constructor({ toFirstEnd = false }: TransferOptions) {
    this.#toFirstEnd = toFirstEnd
  }

  get damaged(): boolean {
    return this.#damaged
  }

  write(bytes: Buffer): Buffer {
    if (this.#ended) return NOTHING
    const letters = Buffer.allocUnsafe(this.#rest.length + bytes.length)
    const decoded: Buffer[] = []
    let length = this.#rest.copy(letters)
    let from = 0
    for (const octet of bytes) {
      if (LETTER[octet] === 1) {
        letters[length++] = octet
      } else if (this.#toFirstEnd && !isSpace(octet)) {
        this.#ended = true
        break
      } else if (octet === PAD && length > from) {
        // Padding ends what was encoded; more may follow, encoded on its own.
        this.#beginPadding((length - from) % 4)
        decoded.push(decodeLetters(letters, from, length))
        from = length
      } else if (octet === PAD) {
        this.#damaged ||= this.#missingPads-- <= 0
      } else {
        this.#damaged ||= !isSpace(octet)
      }
    }
    this.#damaged ||= this.#padded && length > from
    const whole = this.#ended ? length : length - ((length - from) % 4)
    decoded.push(decodeLetters(letters, from, whole))
    this.#rest = Buffer.from(letters.subarray(whole, length))
    return decoded.length === 1 ? (decoded[0] ?? NOTHING) : Buffer.concat(decoded)
  }

  end(): Buffer {
    const rest = this.#rest
    this.#rest = NOTHING
    this.#damaged ||= rest.length > 0 || this.#missingPads > 0
    return decodeLetters(rest, 0, rest.length)
  }

  /** @param letters of the last quantum: two want two pads, three want one */
  #beginPadding(letters: number): void {
    this.#damaged ||= this.#padded || letters < 2
    this.#padded = true
    this.#missingPads = 3 - letters
  }
}

function decodeLetters(letters: Buffer, from: number, to: number): Buffer {
  return Buffer.from(letters.toString('latin1', from, to), 'base64')
}

const TAB = 0x09
const LF = 0x0a
const CR = 0x0d
const SPACE = 0x20

/** A line without an end in sight is decoded in pieces of this many octets. RFC 2045 §6.7: lines have 76. */
const MAX_LINE = 16 * 1024

class QuotedPrintableDecoder implements TransferDecoder {
  /** Begins where the next octets could still change the meaning. */
  #rest = NOTHING
  #damaged = false
  readonly #onDamage = (): void => {
    this.#damaged = true
  }

  get damaged(): boolean {
    return this.#damaged
  }

  write(bytes: Buffer): Buffer {
    const data = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes])
    const lineEnd = data.lastIndexOf(LF) + 1
    let end = lineEnd
    if (data.length - lineEnd > MAX_LINE) end = safeEnd(data, lineEnd)
    this.#rest = Buffer.from(data.subarray(end))
    return decodeQuotedPrintable(data.subarray(0, end), this.#onDamage)
  }

  end(): Buffer {
    const rest = this.#rest
    this.#rest = NOTHING
    return decodeQuotedPrintable(rest, this.#onDamage, { isLast: true })
  }
}

/** Before an escape or blanks that are not complete; everything if there are more blanks than any line has. */
function safeEnd(data: Buffer, from: number): number {
  let end = data.length
  while (end > from && isBlank(data[end - 1])) end--
  const escape = data.lastIndexOf(PAD)
  if (escape >= from && escape >= end - 2) end = escape
  return data.length - end > MAX_LINE ? data.length : end
}

function decodeQuotedPrintable(data: Buffer, onDamage: () => void, { isLast = false } = {}): Buffer {
  const out = Buffer.allocUnsafe(data.length)
  let length = 0
  /** Blanks after this place in `out` were not encoded and go if the line ends — RFC 2045 §6.7 rule 3. */
  let solid = 0
  for (let at = 0; at < data.length; at++) {
    const octet = data[at] ?? 0
    if (octet === PAD) {
      const high = hexDigit(data[at + 1])
      const low = hexDigit(data[at + 2])
      if (high >= 0 && low >= 0) {
        out[length++] = high * 16 + low
        solid = length
        at += 2
        continue
      }
      const next = softBreak(data, at + 1)
      // RFC 2045 §6.7: neither may what was encoded end in the middle of a line.
      if (next === 0 || data[next - 1] !== LF) onDamage()
      if (next > 0) {
        solid = length
        at = next - 1
        continue
      }
    } else if (octet === LF) {
      const cr = data[at - 1] === CR && length > solid
      if (cr) length--
      while (length > solid && isBlank(out[length - 1])) length--
      if (cr) out[length++] = CR
      out[length++] = LF
      solid = length
      continue
    }
    out[length++] = octet
    if (!isBlank(octet) && octet !== CR) solid = length
  }
  // The last line of all may have no line end.
  if (isLast) while (length > solid && isBlank(out[length - 1])) length--
  return out.subarray(0, length)
}

/** Where the line after a soft break begins, or 0 if there is none. Blanks before the line end were added on the way. */
function softBreak(data: Buffer, from: number): number {
  let at = from
  while (isBlank(data[at])) at++
  if (data[at] === CR && data[at + 1] === LF) return at + 2
  if (data[at] === LF) return at + 1
  return at >= data.length ? at : 0
}

/** What lines are made of beside letters. */
function isSpace(octet: number): boolean {
  return octet === CR || octet === LF || isBlank(octet)
}

function isBlank(octet: number | undefined): boolean {
  return octet === SPACE || octet === TAB
}

function hexDigit(octet: number | undefined): number {
  if (octet === undefined) return -1
  if (octet >= 0x30 && octet <= 0x39) return octet - 0x30
  const letter = octet | 0x20
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1
}
