/**
 * Command lines and message data out of one byte stream; the successor of smtp-server's parser, in its place.
 *
 * Ours because that one ends lines at a bare LF, runs an unfinished last line when the client hangs up, looks at data byte
 * by byte, and lets bare CR and LF through. At most one line is with the session at a time; the next is read when it says so.
 *
 * STANDARDS  RFC 5321 §2.3.8 (lines end in CRLF), §4.5.3.1.4 (command lines are bounded)
 */
import { SMTPStream } from 'smtp-server/lib/smtp-stream.js'

import type { DataFraming } from './data-framing.ts'
import type { MessageBody } from './message-body.ts'

/** A promise holds the parser up until it resolves. None of these may reject. */
export interface ParserEvents {
  line(line: Buffer): Promise<void> | undefined
  /** The line is not given out: it cannot be trusted, or is longer than any we know. */
  fault(fault: 'bareLineFeed' | 'lineTooLong'): Promise<void> | undefined
  /** More content came; whoever counts may stop it. */
  content(): void
  /** The message is over; resolves when it has been answered. */
  dataEnd(): Promise<void>
  /** The client has closed its side, and every line before that was handled. */
  end(): void
}

const LF = 0x0a
const CR = 0x0d
const EMPTY = Buffer.alloc(0)
/** Lines handled in one go before others get their turn. */
const LINES_PER_TURN = 100

type Step = Promise<void> | 'again' | 'starved'

export class SmtpParser extends SMTPStream {
  readonly #events: ParserEvents
  readonly #maxLine: number
  #input: Buffer = EMPTY
  /** Inside a line that is too long already: nothing is kept of it but its last octet. */
  #skipping = false
  #data: { framing: DataFraming; body: MessageBody } | null = null

  constructor(events: ParserEvents, maxLine: number) {
    super()
    this.#events = events
    this.#maxLine = maxLine
  }

  /** Inside DATA: the client owes us input, or we owe it an answer. */
  get receiving(): boolean {
    return this.#data !== null
  }

  /** There is more to read than the line that is being handled. */
  get pending(): boolean {
    return this.#input.length > 0
  }

  startData(framing: DataFraming, body: MessageBody): void {
    this.#data = { framing, body }
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding | 'buffer', done: (error?: Error | null) => void): void {
    this.#input = this.#input.length === 0 ? chunk : Buffer.concat([this.#input, chunk])
    this.#pump(done)
  }

  /** An unfinished line is no command, also when nothing follows it. */
  override _flushData(): void {
    this.#input = EMPTY
    if (!this.isClosed) this.#events.end()
  }

  #pump(done: (error?: Error | null) => void): void {
    for (let count = 0; count < LINES_PER_TURN; count++) {
      // Closed: what was pipelined behind QUIT, a 421 or STARTTLS is never looked at.
      if (this.isClosed) this.#input = EMPTY
      const step = this.#data ? this.#readData(this.#data) : this.#readLine()
      if (step === 'starved') return done()
      if (step !== 'again') {
        step.then(() => this.#pump(done), done)
        return
      }
    }
    setImmediate(() => this.#pump(done))
  }

  #readLine(): Step {
    const input = this.#input
    const lf = input.indexOf(LF)
    if (lf < 0) {
      if (input.length > this.#maxLine) {
        this.#skipping = true
        this.#input = input.subarray(-1)
      }
      return 'starved'
    }
    this.#input = lf + 1 === input.length ? EMPTY : input.subarray(lf + 1)
    if (input[lf - 1] !== CR) return this.#events.fault('bareLineFeed') ?? 'again'
    if (this.#skipping || lf + 1 > this.#maxLine) {
      this.#skipping = false
      return this.#events.fault('lineTooLong') ?? 'again'
    }
    return this.#events.line(input.subarray(0, lf - 1)) ?? 'again'
  }

  #readData({ framing, body }: { framing: DataFraming; body: MessageBody }): Step {
    if (this.#input.length === 0) return 'starved'
    const { content, rest } = framing.feed(this.#input)
    this.#input = rest ?? EMPTY
    const room = body.push(content)
    this.#events.content()
    if (rest !== null) {
      this.#data = null
      return this.#events.dataEnd()
    }
    return room ?? 'starved'
  }
}
