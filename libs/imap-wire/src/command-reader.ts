/**
 * Commands out of a stream of octets. Pure: `push` what came, call `next` until it has no more to say.
 *
 * A command is read to its end before anybody looks at its arguments, because only its end tells where the next one
 * begins: what is wrong with one command never damages the following one. At each literal the reader stops and asks
 * (`hold`, `stream` or `refuse`), so that nothing large is ever taken into memory and a client can be turned away before
 * it sends. How the octets were cut into chunks changes nothing.
 *
 * STANDARDS  RFC 9051 §2.2.1 (commands, BAD), §4.3 (literals); RFC 7888 (LITERAL+); RFC 3516 §4.4 (literal8)
 */
import { MAX_NUMBER64, type CommandText, type Literal } from './arguments.ts'
import { ByteQueue } from './byte-queue.ts'

export interface ReaderLimits {
  /** Octets of a command outside its literals. */
  maxLineBytes: number
  /** Octets of all literals of one command that are held in memory. */
  maxHeldBytes: number
  /** Literals of one command. */
  maxLiterals: number
  /** A refused literal that is larger is not read to its end: the connection ends. */
  maxSkippedBytes: number
}

export interface ReceivedCommand {
  tag: string
  /** Upper case; `UID FETCH` for FETCH with UIDs. */
  name: string
  text: CommandText
  /** Where the arguments begin in the first line, at the space before them if there are any. */
  argumentsAt: number
}

export interface AnnouncedLiteral {
  size: number
  /** The client waits for a continuation request. */
  synchronising: boolean
  /** A literal8. */
  binary: boolean
}

export type Read =
  | { kind: 'command'; command: ReceivedCommand }
  /** What came of the command so far; answer with `hold`, `stream` or `refuse`. */
  | { kind: 'literal'; command: ReceivedCommand; literal: AnnouncedLiteral }
  /** Octets of a literal that is streamed. */
  | { kind: 'data'; bytes: Uint8Array }
  | { kind: 'literalEnd' }
  /** Not a command; the next one follows. Answer BAD, untagged when no tag could be read. */
  | { kind: 'bad'; tag?: string; text: string }
  /** Where the next command begins cannot be known, or only after too much. */
  | { kind: 'fatal'; text: string }

type State =
  | { kind: 'line' }
  | { kind: 'asking'; literal: AnnouncedLiteral }
  | { kind: 'holding'; literal: AnnouncedLiteral }
  | { kind: 'streaming'; remaining: number }
  | { kind: 'skipping'; remaining: number }
  | { kind: 'fatal'; text: string }

const LITERAL = /(~?)\{([0-9]{1,20})(\+?)\}$/
/** The longest that LITERAL can match, with some to spare. */
const LITERAL_LENGTH = 32
// Control characters are what a tag may not have — RFC 9051 §9 (tag)
const TAG = /^[^\u0000-\u0020\u007f-\u00ff(){%*"\\+]+(?= |$)/
const NAME = /^ (?:UID )?[A-Za-z][A-Za-z0-9-]*(?= |$)/i
const MAX_DATA = 65_536

export class CommandReader {
  readonly #limits: ReaderLimits
  readonly #queue = new ByteQueue()
  #state: State = { kind: 'line' }
  #lines: string[] = []
  #literals: Literal[] = []
  #lineBytes = 0
  #heldBytes = 0
  /** Why the command in hand is none; it is still read to its end. `silent`: somebody has answered it. */
  #fault: { tag?: string; text: string } | 'silent' | undefined

  constructor(limits: ReaderLimits) {
    this.#limits = limits
  }

  push(chunk: Uint8Array): void {
    this.#queue.push(chunk)
  }

  /** Octets that wait to be read. */
  get buffered(): number {
    return this.#queue.length
  }

  /** Takes the octets that wait: somebody else will read them. */
  rest(): Uint8Array {
    return this.#queue.take(this.#queue.length)
  }

  /** Whether a command has been read as far as a literal, and the rest of it is awaited. */
  get midCommand(): boolean {
    return this.#lines.length > 0 || this.#fault !== undefined
  }

  /** What comes next, or undefined until more octets were pushed. */
  next(): Read | undefined {
    for (;;) {
      const step = this.#step()
      if (step !== 'again') return step
    }
  }

  /**
   * A line outside commands: DONE, or the answer to a SASL challenge. Undefined until it is complete.
   * @returns its octets in latin1, or null when it is longer than a command's line may be; then nothing was taken
   */
  nextLine(): string | null | undefined {
    const at = this.#queue.lineFeed()
    if (at > this.#limits.maxLineBytes || (at < 0 && this.#queue.length > this.#limits.maxLineBytes)) return null
    return at < 0 ? undefined : this.#takeLine(at)
  }

  /** Keep the literal in memory, as part of the command. False when it is more than may be held: then it is refused. */
  hold(): boolean {
    const { literal } = this.#asked()
    this.#heldBytes += literal.size
    if (this.#literals.length < this.#limits.maxLiterals && this.#heldBytes <= this.#limits.maxHeldBytes) {
      this.#state = { kind: 'holding', literal }
      return true
    }
    this.refuse()
    return false
  }

  /** Hand the literal out as `data`, then `literalEnd`; the command goes on after it. */
  stream(): void {
    const { literal } = this.#asked()
    this.#literals.push({ kind: 'streamed', index: this.#literals.length, size: literal.size, binary: literal.binary })
    this.#state = { kind: 'streaming', remaining: literal.size }
  }

  /** The command was answered already: pass over what is left of it. */
  refuse(): void {
    const state = this.#state
    // Nothing is left of it: what comes next is another command.
    if (state.kind !== 'asking' && this.#lines.length === 0) return
    this.#fault = 'silent'
    if (state.kind === 'asking') this.#passBy(state.literal)
    // The client was told to continue, or did not ask: what it announced is on its way.
    else if (state.kind === 'streaming') this.#skip(state.remaining)
  }

  #step(): Read | 'again' | undefined {
    const state = this.#state
    switch (state.kind) {
      case 'line':
        return this.#readLine()
      case 'asking':
        return { kind: 'literal', command: this.#command(), literal: state.literal }
      case 'holding': {
        if (this.#queue.length < state.literal.size) return undefined
        const { size, binary } = state.literal
        this.#literals.push({ kind: 'held', bytes: this.#queue.take(size), binary })
        this.#state = { kind: 'line' }
        return 'again'
      }
      case 'streaming': {
        if (state.remaining === 0) {
          this.#state = { kind: 'line' }
          return { kind: 'literalEnd' }
        }
        if (this.#queue.length === 0) return undefined
        const bytes = this.#queue.take(Math.min(state.remaining, MAX_DATA))
        this.#state = { kind: 'streaming', remaining: state.remaining - bytes.length }
        return { kind: 'data', bytes }
      }
      case 'skipping': {
        const count = Math.min(state.remaining, this.#queue.length)
        this.#queue.drop(count)
        if (count < state.remaining) {
          this.#state = { kind: 'skipping', remaining: state.remaining - count }
          return undefined
        }
        this.#state = { kind: 'line' }
        return 'again'
      }
      case 'fatal':
        return state
    }
  }

  #readLine(): Read | 'again' | undefined {
    const at = this.#queue.lineFeed()
    const length = at < 0 ? this.#queue.length : at
    if (this.#fault === undefined && this.#lineBytes + length > this.#limits.maxLineBytes) {
      // Only its tag and its end matter now.
      if (this.#lines.length === 0) this.#lines.push(this.#queue.peek(this.#limits.maxLineBytes).toString('latin1'))
      this.#blame(`Command line longer than ${this.#limits.maxLineBytes} octets`)
      return 'again'
    }
    if (at < 0) {
      if (this.#fault !== undefined) this.#queue.drop(Math.max(0, length - LITERAL_LENGTH))
      return undefined
    }
    this.#lineBytes += at
    return this.#endLine(this.#takeLine(at))
  }

  #endLine(line: string): Read | 'again' | undefined {
    const marker = LITERAL.exec(line)
    if (this.#fault === undefined) {
      // Some clients send an empty line after a literal. It is nobody's command.
      if (line === '' && this.#lines.length === 0) {
        this.#reset()
        return 'again'
      }
      // NUL and a bare CR are in no command — RFC 9051 §9 (CHAR, TEXT-CHAR)
      const fault = /[\u0000\r]/.test(line) ? 'NUL or bare CR in a command' : undefined
      this.#lines.push(marker ? line.slice(0, marker.index) : line)
      this.#blame(fault ?? (this.#lines.length === 1 ? faultInBeginning(line) : undefined))
    }
    if (!marker) return this.#endCommand()
    const literal = {
      size: Number(marker[2]),
      synchronising: marker[3] === '',
      binary: marker[1] === '~',
    }
    // Not exact above 53 bits, and too large for any use there is.
    if (BigInt(marker[2] ?? '') > MAX_NUMBER64) this.#blame('Literal of impossible size')
    if (this.#fault !== undefined) return this.#passBy(literal)
    this.#state = { kind: 'asking', literal }
    return 'again'
  }

  #endCommand(): Read | 'again' {
    const fault = this.#fault
    const read: Read | 'again' =
      fault === undefined
        ? { kind: 'command', command: this.#command() }
        : fault === 'silent'
          ? 'again'
          : { kind: 'bad', ...fault }
    this.#reset()
    return read
  }

  /** A literal of a command that is none. A client that waits for leave to send it is told by the answer not to. */
  #passBy({ size, synchronising }: AnnouncedLiteral): Read | 'again' {
    if (!synchronising) return this.#skip(size)
    this.#state = { kind: 'line' }
    return this.#endCommand()
  }

  #skip(size: number): 'again' {
    this.#state =
      size <= this.#limits.maxSkippedBytes
        ? { kind: 'skipping', remaining: size }
        : { kind: 'fatal', text: 'Literal too large' }
    return 'again'
  }

  #command(): ReceivedCommand {
    const [first = ''] = this.#lines
    const tag = TAG.exec(first)?.[0] ?? ''
    const name = NAME.exec(first.slice(tag.length))?.[0] ?? ''
    // The line after the last literal so far is still to come.
    const lines = this.#lines.length > this.#literals.length ? [...this.#lines] : [...this.#lines, '']
    return {
      tag,
      name: name.slice(1).toUpperCase(),
      text: { lines, literals: [...this.#literals] },
      argumentsAt: tag.length + name.length,
    }
  }

  #blame(text: string | undefined): void {
    if (text === undefined) return
    const tag = TAG.exec(this.#lines[0] ?? '')?.[0]
    this.#fault ??= tag === undefined ? { text } : { tag, text }
  }

  #asked(): Extract<State, { kind: 'asking' }> {
    if (this.#state.kind !== 'asking') throw new Error('No literal was announced')
    return this.#state
  }

  /** CRLF ends a line; a bare LF is taken for it. */
  #takeLine(at: number): string {
    const line = this.#queue.take(at + 1).toString('latin1', 0, at)
    return line.endsWith('\r') ? line.slice(0, -1) : line
  }

  #reset(): void {
    this.#lines = []
    this.#literals = []
    this.#lineBytes = 0
    this.#heldBytes = 0
    this.#fault = undefined
  }
}

function faultInBeginning(line: string): string | undefined {
  const tag = TAG.exec(line)?.[0]
  if (tag === undefined) return 'Expected a tag'
  return NAME.test(line.slice(tag.length)) ? undefined : 'Expected the name of a command after the tag'
}
