/**
 * Reads the lexical tokens of structured header fields (RFC 5322 §3.2, RFC 2045 §5.1) from a value, unfolded or not.
 *
 * Octets above 0x7f count as atom characters (RFC 6532), so a value may be decoded text or one character per octet.
 * Invariant: the position only moves forward, and what is not closed (a quote, a comment) runs to the end; that is what
 * keeps every parser above this linear. Nothing recurses on input.
 */

const BACKSLASH = 0x5c
const LF = 0x0a

const ATEXT = 1
const TOKEN = 2
const BLANK = 4

const CLASS = new Uint8Array(256)
for (let code = 0x21; code < 0x7f; code++) {
  const character = String.fromCharCode(code)
  // RFC 5322 §3.2.3: an atom excludes specials; RFC 2045 §5.1: a token excludes tspecials.
  if (!'()<>[]:;@\\,."'.includes(character)) CLASS[code] = ATEXT
  if (!'()<>@,;:\\"/[]?='.includes(character)) CLASS[code] = (CLASS[code] ?? 0) | TOKEN
}
for (let code = 0x80; code < 0x100; code++) CLASS[code] = ATEXT | TOKEN
for (const code of [0x09, 0x0a, 0x0d, 0x20]) CLASS[code] = BLANK

function classOf(code: number): number {
  return code > 0xff ? ATEXT | TOKEN : (CLASS[code] ?? 0)
}

export class Scanner {
  readonly text: string
  at: number
  /** The last comment passed over, unescaped and unfolded. Of one that is not closed: up to its last escape or fold. */
  comment = ''

  constructor(text: string) {
    this.text = text
    this.at = 0
  }

  get ended(): boolean {
    return this.at >= this.text.length
  }

  peek(): string {
    return this.text.charAt(this.at)
  }

  take(character: string): boolean {
    if (this.text.charAt(this.at) !== character) return false
    this.at++
    return true
  }

  /** Blanks and comments — RFC 5322 §3.2.2. False if a comment is not closed; then everything up to the end is gone. */
  skip(): boolean {
    for (;;) {
      while (classOf(this.text.charCodeAt(this.at)) === BLANK) this.at++
      if (this.peek() !== '(') return true
      if (!this.#skipComment()) return false
    }
  }

  /** An atom, or '' if there is none here. */
  atom(): string {
    return this.#run(ATEXT)
  }

  /** A MIME token, or '' if there is none here. */
  token(): string {
    return this.#run(TOKEN)
  }

  /** What a quoted string says, without quotes, escapes and line ends; undefined if it is not closed, and then nothing is left. */
  quotedString(): string | undefined {
    const { text, isClosed } = this.quotedText()
    return isClosed ? text : undefined
  }

  /** The same; of one that is not closed it has what stands before its last escape or fold. */
  quotedText(): { text: string; isClosed: boolean } {
    const { text } = this
    let result = ''
    let from = this.at + 1
    for (let at = from; at < text.length; at++) {
      const character = text.charAt(at)
      if (character === '"') {
        this.at = at + 1
        return { text: result + text.slice(from, at), isClosed: true }
      }
      if (character === '\\' && !isLineEnd(text, at + 1)) {
        if (at + 1 >= text.length) break
        result += text.slice(from, at)
        from = ++at
      } else if (character === '\n') {
        result += text.slice(from, beforeLineFeed(text, from, at))
        from = at + 1
      }
    }
    this.at = text.length
    return { text: result, isClosed: false }
  }

  /** `[…]` as written, without line ends; undefined if it is not one. RFC 5322 §3.4.1. */
  domainLiteral(): string | undefined {
    const start = this.at
    for (let at = start + 1; at < this.text.length; at++) {
      const character = this.text.charAt(at)
      if (character === ']') {
        this.at = at + 1
        return this.text.slice(start, this.at).replaceAll(/\r?\n/g, '')
      }
      if (character === '[') break
      if (character === '\\') at++
    }
    this.at = this.text.length
    return undefined
  }

  #run(kind: number): string {
    const start = this.at
    while (this.at < this.text.length && (classOf(this.text.charCodeAt(this.at)) & kind) !== 0) this.at++
    return this.text.slice(start, this.at)
  }

  #skipComment(): boolean {
    const { text } = this
    let depth = 0
    let from = this.at + 1
    this.comment = ''
    for (let at = this.at; at < text.length; at++) {
      const code = text.charCodeAt(at)
      if (code === BACKSLASH && !isLineEnd(text, at + 1)) {
        if (at + 1 >= text.length) break
        this.comment += text.slice(from, at)
        from = ++at
      } else if (code === LF) {
        this.comment += text.slice(from, beforeLineFeed(text, from, at))
        from = at + 1
      } else if (code === 0x28) {
        depth++
      } else if (code === 0x29 && --depth === 0) {
        this.comment += text.slice(from, at)
        this.at = at + 1
        return true
      }
    }
    this.at = text.length
    return false
  }
}

/** A backslash before one is no escape: a fold is not part of what is said — RFC 5322 §2.2.3. */
function isLineEnd(text: string, at: number): boolean {
  return text.charAt(at) === '\n' || (text.charAt(at) === '\r' && text.charAt(at + 1) === '\n')
}

/** Where a line ends whose line feed is at `at`. */
function beforeLineFeed(text: string, from: number, at: number): number {
  return at > from && text.charAt(at - 1) === '\r' ? at - 1 : at
}
