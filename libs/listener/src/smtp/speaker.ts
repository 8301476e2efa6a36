/**
 * What the parts of a session answer through, and where they ask the service: one count of mistakes, one idea of what
 * becomes of an error, one notion of who waits for whom.
 */
import { type EnhancedStatus, replies, SmtpError } from '@postbus/smtp'

import type { SmtpChannel } from './channel.ts'
import type { Journal } from './journal.ts'
import { TransactionAbandoned } from './transaction.ts'

/** The next line waits for it; undefined when there is nothing to wait for. */
export type Held = Promise<void> | undefined

/** NOOP, RSET, VRFY and the like without a message between them. */
const MAX_IDLE_COMMANDS = 100
/** What a client that speaks the protocol never hears — RFC 5321 §4.2.2. */
const PROTOCOL_ERRORS = new Set([500, 501, 502, 503, 504, 530, 555])

export class Speaker {
  readonly #channel: Pick<SmtpChannel, 'reply'>
  readonly #journal: Pick<Journal, 'fault'>
  readonly #maxBadCommands: number
  #badCommands = 0
  #idleCommands = 0
  #asked = 0

  constructor(channel: Pick<SmtpChannel, 'reply'>, journal: Pick<Journal, 'fault'>, maxBadCommands: number) {
    this.#channel = channel
    this.#journal = journal
    this.#maxBadCommands = maxBadCommands
  }

  /** The service has been asked and has not decided. */
  get asking(): boolean {
    return this.#asked > 0
  }

  reply(code: number, status: EnhancedStatus | null, ...lines: string[]): undefined {
    this.#channel.reply({ code, status, lines })
  }

  /** To a command that moves no message; a client may not stay by those alone. */
  idle(code: number, status: EnhancedStatus | null, ...lines: string[]): undefined {
    if (++this.#idleCommands <= MAX_IDLE_COMMANDS) return this.reply(code, status, ...lines)
    return this.reply(421, '4.7.0', 'Too many commands without a message, closing connection')
  }

  refuse({ code, status, message }: SmtpError): undefined {
    const tooMany = PROTOCOL_ERRORS.has(code) && ++this.#badCommands >= this.#maxBadCommands
    if (tooMany) return this.reply(421, '4.7.0', 'Too many errors, closing connection')
    return this.reply(code, status, message)
  }

  /** Whoever sends mail has made up for mistakes. */
  forgive(): void {
    this.#badCommands = 0
    this.#idleCommands = 0
  }

  /** A refusal as it is. Anything else is our fault, and so it is temporary. */
  refusal(error: unknown): SmtpError {
    if (error instanceof SmtpError) return error
    if (!(error instanceof TransactionAbandoned)) this.#journal.fault(error)
    return replies.tryLater(error)
  }

  /** Does what a command says; what it throws is its answer. */
  guard(act: () => Held): Held {
    try {
      return act()?.catch((error: unknown) => this.refuse(this.refusal(error)))
    } catch (error) {
      return this.refuse(this.refusal(error))
    }
  }

  async ask<Result>(handler: () => Result | Promise<Result>): Promise<Result> {
    this.#asked++
    try {
      return await handler()
    } finally {
      this.#asked--
    }
  }

  /** As `ask`, for a handler that may know at once. */
  askThen(handler: () => void | Promise<void>, done: () => void, refused: (error: unknown) => void): Held {
    try {
      const asked = handler()
      if (asked) return this.ask(() => asked).then(done, refused)
      done()
    } catch (error) {
      refused(error)
    }
    return undefined
  }
}

export const badSequence = (text: string): SmtpError => new SmtpError(503, '5.5.1', text)
/** RFC 3207 §4 */
export const tlsRequired = (): SmtpError => new SmtpError(530, '5.7.0', 'Must issue a STARTTLS command first')
