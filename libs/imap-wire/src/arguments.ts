/**
 * Arguments — reads what follows a command's name, piece by piece, in the order the grammar asks for them. Every method
 * takes exactly what it names or throws ImapSyntaxError; nothing is skipped silently.
 *
 * STANDARDS  RFC 9051 §4 (data formats), §9 (formal syntax); RFC 3501 §5.1.3 (names); RFC 7888 (literals)
 */
import { parseMailboxName } from './mailbox-name.ts'
import { BadSequenceSet, parseSequenceSet, type SequenceSet } from './sequence-set.ts'
import { ImapLimitError, ImapSyntaxError } from './syntax-error.ts'

/** A literal as it arrived: held in memory, or streamed away and known by its number within the command. */
export type Literal =
  | { kind: 'held'; bytes: Uint8Array; binary: boolean }
  | { kind: 'streamed'; index: number; size: number; binary: boolean }

/** The text of a command: lines in latin1, one octet per character, with `literals[i]` between `lines[i]` and `lines[i + 1]`. */
export interface CommandText {
  readonly lines: readonly string[]
  readonly literals: readonly Literal[]
}

export interface ArgumentOptions {
  /** Mailbox names are UTF-8 (after ENABLE of IMAP4rev2 or UTF8=ACCEPT) instead of modified UTF-7. */
  utf8?: boolean
}

// Control characters are exactly what an atom may not have — RFC 9051 §9, ATOM-CHAR
const ATOM = /[^\u0000-\u0020\u007f-\u00ff(){%*"\\\]]+/y
// As above; ASTRING-CHAR also allows "]"
const ASTRING = /[^\u0000-\u0020\u007f-\u00ff(){%*"\\]+/y
// As above; list-char also allows the wildcards
const LIST_MAILBOX = /[^\u0000-\u0020\u007f-\u00ff(){"\\]+/y
const SEQUENCE_SET = /[0-9*:,]+|\$/y
const DIGITS = /[0-9]+/y
const MAX_DIGITS = 20
/** RFC 9051 §9 (number64) */
export const MAX_NUMBER64 = 2n ** 63n - 1n
// RFC 5322 §2.1.1: no line is longer. 8 bits and control characters are in no name, and an answer would repeat them.
const FIELD_NAME = /^[ -~]{0,998}$/

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

export class Arguments {
  readonly #text: CommandText
  readonly #options: ArgumentOptions
  #line = 0
  #at: number

  /** @param from where the arguments begin in the first line */
  constructor(text: CommandText, from = 0, options: ArgumentOptions = {}) {
    this.#text = text
    this.#at = from
    this.#options = options
  }

  /** Nothing may follow. */
  end(): void {
    if (!this.atEnd) throw new ImapSyntaxError(`Unexpected ${this.#found()} after the last argument`)
  }

  get atEnd(): boolean {
    return this.#rest === 0 && this.#literal === undefined
  }

  /** Exactly one space — RFC 9051 §2.2 and §9. */
  space(): this {
    if (!this.skip(' ')) throw new ImapSyntaxError(`Expected a space, found ${this.#found()}`)
    return this
  }

  /** Whether the next character is this one. */
  next(character: string): boolean {
    return this.#current[this.#at] === character
  }

  /** Takes the character if it is next. */
  skip(character: string): boolean {
    if (!this.next(character)) return false
    this.#at++
    return true
  }

  expect(character: string): this {
    if (!this.skip(character)) throw new ImapSyntaxError(`Expected "${character}", found ${this.#found()}`)
    return this
  }

  /** Takes the word, in any case, if it is next and ends there. */
  skipWord(word: string): boolean {
    const end = this.#at + word.length
    if (this.#current.slice(this.#at, end).toUpperCase() !== word) return false
    if (/[A-Za-z0-9]/.test(this.#current[end] ?? '')) return false
    this.#at = end
    return true
  }

  atom(what = 'an atom'): string {
    return this.#match(ATOM) ?? this.#fail(what)
  }

  /** An atom, upper case: names of commands, items, options. */
  keyword(what = 'a keyword'): string {
    return this.atom(what).toUpperCase()
  }

  /** Letters of the pattern's choosing; the pattern must be sticky. */
  pattern(pattern: RegExp, what: string): string {
    return this.#match(pattern) ?? this.#fail(what)
  }

  /** atom, quoted string or literal, as octets: passwords, search strings in a charset. */
  astringBytes(what = 'a string'): Uint8Array {
    const atom = this.#match(ASTRING)
    return atom === undefined ? this.stringBytes(what) : Buffer.from(atom, 'latin1')
  }

  astring(what = 'a string'): string {
    return this.#match(ASTRING) ?? this.string(what)
  }

  /** Any string: one that no header can have is the name of no field — RFC 9051 §9 (header-fld-name). */
  fieldName(): string {
    const name = this.astring('a header field name')
    if (!FIELD_NAME.test(name)) throw new ImapSyntaxError('Not a header field name')
    return name
  }

  stringBytes(what = 'a string'): Uint8Array {
    if (this.next('"')) return Buffer.from(this.#quoted(), 'latin1')
    return this.#heldLiteral(what)
  }

  /** Quoted string or literal, which must be UTF-8. */
  string(what = 'a string'): string {
    return text(this.stringBytes(what))
  }

  nstring(what = 'a string or NIL'): string | null {
    return this.skipWord('NIL') ? null : this.string(what)
  }

  /** Octets of a string, a literal8 among them, or NIL — RFC 5464 §5 (value). */
  nstringOctets(what = 'a string or NIL'): Uint8Array | null {
    if (this.skipWord('NIL')) return null
    if (this.next('"')) return Buffer.from(this.#quoted(), 'latin1')
    return this.#heldLiteral(what, { binary: true })
  }

  /** `*` and `%` may stand in it unquoted; not decoded, see ListPattern. */
  listMailbox(): string {
    return this.#match(LIST_MAILBOX) ?? this.string('a mailbox name or pattern')
  }

  /** A mailbox name in Unicode, INBOX spelt so. */
  mailbox(): string {
    return parseMailboxName(this.astring('a mailbox name'), this.#options)
  }

  get utf8(): boolean {
    return this.#options.utf8 ?? false
  }

  /** An unsigned 32-bit integer. */
  number(what = 'a number'): number {
    return this.#number(what, 0xffff_ffff)
  }

  nzNumber(what = 'a number above zero'): number {
    const number = this.number(what)
    return number > 0 ? number : this.#fail(what)
  }

  /** A 63-bit integer. Above what a number keeps exactly it means the same here: more than there is — RFC 9051 §9 (number64). */
  number64(what = 'a number'): number {
    return asNumber(this.exactNumber64(what))
  }

  /** The same, for an answer that repeats it. */
  exactNumber64(what = 'a number'): bigint {
    const digits = this.#match(DIGITS) ?? this.#fail(what)
    const number = BigInt(digits.slice(0, MAX_DIGITS))
    if (digits.length > MAX_DIGITS || number > MAX_NUMBER64)
      throw new ImapSyntaxError(`Expected ${what}, found one above ${MAX_NUMBER64}`)
    return number
  }

  sequenceSet(): SequenceSet {
    const set = this.#match(SEQUENCE_SET) ?? this.#fail('a set of message numbers')
    try {
      return parseSequenceSet(set)
    } catch (cause) {
      if (cause instanceof BadSequenceSet) throw new ImapSyntaxError(cause.message, { cause })
      throw cause
    }
  }

  /** `(` items separated by one space `)`; an empty list only where the caller allows it. */
  list<Item>(item: () => Item, options: { empty?: boolean; max: number }): Item[] {
    const items: Item[] = []
    this.expect('(')
    if (options.empty && this.skip(')')) return items
    do {
      if (items.length === options.max) throw new ImapLimitError(`More than ${options.max} items in a list`)
      items.push(item())
    } while (this.skip(' '))
    this.expect(')')
    return items
  }

  /** The number of a literal that was streamed away while the command was read. */
  streamedLiteral(what = 'a literal'): { index: number; size: number; binary: boolean } {
    const literal = this.#rest === 0 ? this.#literal : undefined
    if (literal?.kind !== 'streamed') return this.#fail(what)
    this.#passLiteral()
    return literal
  }

  get #current(): string {
    return this.#text.lines[this.#line] ?? ''
  }

  get #rest(): number {
    return this.#current.length - this.#at
  }

  /** The literal at the end of the line we are in. */
  get #literal(): Literal | undefined {
    return this.#text.literals[this.#line]
  }

  #passLiteral(): void {
    this.#line++
    this.#at = 0
  }

  #heldLiteral(what: string, { binary = false } = {}): Uint8Array {
    const literal = this.#rest === 0 ? this.#literal : undefined
    if (literal?.kind !== 'held') return this.#fail(what)
    // NUL may only stand in a literal8, and that only where the grammar says so — RFC 9051 §9 (literal, CHAR8).
    if (literal.binary && !binary) throw new ImapSyntaxError('A literal8 is not allowed here')
    if (!literal.binary && literal.bytes.includes(0)) throw new ImapSyntaxError('NUL in a literal')
    this.#passLiteral()
    return literal.bytes
  }

  #match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at
    const found = pattern.exec(this.#current)?.[0]
    if (found !== undefined) this.#at += found.length
    return found
  }

  #quoted(): string {
    const line = this.#current
    let value = ''
    let from = this.#at + 1
    for (let at = from; at < line.length; at++) {
      const character = line[at]
      if (character === '"') {
        this.#at = at + 1
        return value + line.slice(from, at)
      }
      if (character !== '\\') continue
      const escaped = line[at + 1]
      // Only the quote and the backslash may be escaped — RFC 9051 §9, quoted-specials.
      if (escaped !== '"' && escaped !== '\\') throw new ImapSyntaxError('Bad escape in a quoted string')
      value += line.slice(from, at) + escaped
      at++
      from = at + 1
    }
    throw new ImapSyntaxError('Quoted string without its closing quote')
  }

  #number(what: string, max: number): number {
    const digits = this.#match(DIGITS) ?? this.#fail(what)
    const number = Number(digits)
    if (digits.length > MAX_DIGITS || number > max)
      throw new ImapSyntaxError(`Expected ${what}, found one above ${max}`)
    return number
  }

  #fail(what: string): never {
    throw new ImapSyntaxError(`Expected ${what}, found ${this.#found()}`)
  }

  #found(): string {
    const character = this.#current[this.#at]
    if (character === undefined) return this.#literal ? 'a literal' : 'the end of the line'
    if (character === ' ') return 'a space'
    return character > ' ' && character < '\u007f' ? `"${character}"` : 'a control or 8-bit character'
  }
}

/** The highest number that is exact stands for those above it. */
export function asNumber(number: bigint): number {
  return Math.min(Number(number), Number.MAX_SAFE_INTEGER)
}

function text(bytes: Uint8Array): string {
  try {
    return utf8.decode(bytes)
  } catch (cause) {
    throw new ImapSyntaxError('A string here must be UTF-8', { cause })
  }
}
