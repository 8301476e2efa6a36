/**
 * One SMTP session: which command may come now, what it does, what is answered.
 *
 * Replies leave in the order of the commands, though recipients are looked up side by side. Only the 250 to the end of DATA
 * makes a message ours, and only the handler says when.
 *
 * STANDARDS  RFC 5321 (SMTP); RFC 2920 (PIPELINING); RFC 3207 (STARTTLS); RFC 4954 (AUTH); RFC 3848 (protocol names)
 */
import { type EnhancedStatus, replies, SmtpError } from '@postbus/smtp'

import type { TlsFacts } from '../tls-facts.ts'
import type { SmtpChannel } from './channel.ts'
import { type Command, parseCommand } from './command-line.ts'
import { type RcptCommand, readMail, readRcpt } from './envelope-commands.ts'
import { InOrder } from './in-order.ts'
import { Journal } from './journal.ts'
import { type Credentials, mechanismNames, SaslExchange, type SaslStep } from './sasl.ts'
import type { SmtpServer } from './server.ts'
import { Transaction, TransactionAbandoned } from './transaction.ts'
import type { Login, SmtpClient } from './types.ts'

/** The next line waits for it; undefined when there is nothing to wait for. */
type Held = Promise<void> | undefined

/** Recipients looked up at once; the next line waits when there are more. */
const MAX_UNANSWERED = 100
/** Refused logins before the session ends. */
const MAX_REFUSED_LOGINS = 5
/** NOOP, RSET, VRFY and the like without a message between them. */
const MAX_IDLE_COMMANDS = 100
/** What a client that speaks the protocol never hears — RFC 5321 §4.2.2. */
const PROTOCOL_ERRORS = new Set([500, 501, 502, 503, 504, 530, 555])
/** RFC 5321 §4.1.1: with an argument they are malformed. */
const NO_ARGUMENT = new Set(['DATA', 'RSET', 'QUIT', 'STARTTLS'])
const HELP = ['Commands: EHLO HELO STARTTLS AUTH MAIL RCPT DATA RSET NOOP VRFY HELP QUIT', 'See RFC 5321']

export class SmtpSession implements SmtpClient {
  readonly #channel: SmtpChannel
  readonly #server: SmtpServer
  readonly #journal: Journal
  readonly #abort = new AbortController()
  #greeted: Promise<void> | null = null
  #helo = ''
  #extended = false
  #login: Login | null = null
  #exchange: SaslExchange | null = null
  #transaction: Transaction | null = null
  /** Recipients still being looked up. */
  readonly #unanswered = new InOrder()
  /** Handlers that have not decided yet. */
  #asked = 0
  #badCommands = 0
  #idleCommands = 0
  #refusedLogins = 0
  #lastLineAt = Date.now()

  constructor(channel: SmtpChannel, server: SmtpServer) {
    this.#channel = channel
    this.#server = server
    this.#journal = new Journal(server, this)
  }

  get sessionId(): string {
    return this.#channel.id
  }
  get address(): string {
    return this.#channel.remoteAddress
  }
  get port(): number {
    return this.#channel.remotePort
  }
  get helo(): string {
    return this.#helo
  }
  get login(): Login | null {
    return this.#login
  }
  get tls(): TlsFacts | null {
    return this.#channel.tls
  }
  get signal(): AbortSignal {
    return this.#abort.signal
  }
  /** RFC 3848; with SMTPUTF8 the names of RFC 6531 §4.3. */
  get protocol(): string {
    if (!this.#extended) return 'SMTP'
    const base = this.#transaction?.mail.smtputf8 ? 'UTF8SMTP' : 'ESMTP'
    return `${base}${this.tls ? 'S' : ''}${this.#login ? 'A' : ''}`
  }

  /** The client waits for us. */
  get working(): boolean {
    return this.#asked > 0 || (this.#transaction?.deciding ?? false)
  }

  get silentMs(): number {
    return Date.now() - this.#lastLineAt
  }

  greet(): void {
    if (this.#server.draining) return this.#reply(421, '4.3.2', 'Service shutting down')
    const greeting = (): void => this.#reply(220, null, `${this.#server.domain} ESMTP Service Ready`)
    const refused = (error: unknown): void => {
      this.#answer(this.#refusal(error))
      this.#channel.close()
    }
    const connected = this.#ask(() => this.#server.handlers.connect?.(this), greeting, refused)
    this.#greeted =
      connected?.finally(() => {
        this.#greeted = null
      }) ?? null
  }

  /** TLS is up: whatever the client said before is forgotten — RFC 3207 §4.2. */
  secured(): void {
    this.#helo = ''
    this.#extended = false
    this.#login = null
    this.#exchange = null
    this.#abandon()
  }

  line(line: Buffer): Held {
    if (this.#greeted) return this.#greeted.then(() => this.line(line))
    this.#lastLineAt = Date.now()
    const exchange = this.#exchange
    if (exchange) return this.#guard(() => this.#advance(exchange, exchange.respond(line.toString('latin1'))))
    const command = parseCommand(line)
    if (this.#unanswered.size > 0 && command.verb !== 'RCPT') {
      return this.#unanswered.settled.then(() => this.#run(command))
    }
    return this.#run(command)
  }

  fault(fault: 'bareLineFeed' | 'lineTooLong'): Held {
    return this.#unanswered.settled.then(() => {
      // Where the next command begins can no longer be told, so nothing more is read.
      if (fault === 'bareLineFeed') this.#reply(421, '4.5.2', 'Line feed without carriage return, closing connection')
      else this.#answer(new SmtpError(500, this.#exchange ? '5.5.6' : '5.5.2', 'Line too long')) // RFC 4954 §6
      this.#exchange = null
    })
  }

  content(): void {
    this.#transaction?.checkContent()
  }

  /** The message is whole: wait for the handler, answer, be ready for the next one. */
  async dataEnd(): Promise<void> {
    const transaction = this.#transaction
    if (!transaction) return
    const since = performance.now()
    try {
      const { queueId } = await transaction.decision()
      this.#reply(250, '2.0.0', `Ok: queued as ${queueId}`)
      this.#badCommands = 0
      this.#idleCommands = 0
      this.#journal.answered(transaction, since, queueId, null)
    } catch (error) {
      const refusal = this.#refusal(error)
      this.#answer(refusal)
      this.#journal.answered(transaction, since, null, refusal)
    }
    this.#transaction = null
    if (this.#server.draining) this.drain()
  }

  /** Between two messages the session ends at once; inside one, when it has been answered. */
  drain(): void {
    if (!this.#transaction && !this.working) this.#reply(421, '4.3.2', 'Service shutting down')
  }

  /** Once, when nothing more will come or be answered. */
  closed(): void {
    this.#abandon()
    this.#abort.abort()
    this.#server.handlers.closed?.(this)
  }

  #run(command: Command): Held {
    if (this.#channel.over) return undefined
    this.#journal.command(command.label)
    return this.#guard(() => this.#dispatch(command))
  }

  #dispatch({ verb, argument }: Command): Held {
    if (NO_ARGUMENT.has(verb) && argument !== '') throw new SmtpError(501, '5.5.4', `Syntax: ${verb}`)
    switch (verb) {
      case 'EHLO':
      case 'HELO':
        return this.#introduce(verb, argument)
      case 'MAIL':
        return this.#mail(argument)
      case 'RCPT':
        return this.#rcpt(argument)
      case 'DATA':
        return this.#data()
      case 'AUTH':
        return this.#auth(argument)
      case 'STARTTLS':
        return this.#startTls()
      case 'RSET':
        this.#abandon()
        return this.#idle(250, '2.0.0', 'Ok')
      case 'NOOP':
        return this.#idle(250, '2.0.0', 'Ok')
      case 'HELP':
        return this.#idle(214, '2.0.0', ...HELP)
      case 'VRFY': // RFC 5321 §7.3: who exists is told to senders at RCPT, not to harvesters here.
        return this.#idle(252, '2.5.0', 'Cannot verify the user, but will take mail for it and try to deliver')
      case 'EXPN':
        throw new SmtpError(502, '5.5.1', 'EXPN not available')
      case 'QUIT':
        this.#reply(221, '2.0.0', `${this.#server.domain} closing connection`)
        return void this.#channel.close()
      case 'HTTP': // A web page made a browser talk to us; its next lines may look like commands.
        return this.#reply(421, '4.7.0', 'This is no web server')
      case 'tooLong':
        throw new SmtpError(500, '5.5.2', 'Line too long')
      case 'malformed':
        throw new SmtpError(500, '5.5.2', 'Syntax error')
      default:
        throw new SmtpError(500, '5.5.1', 'Command unrecognized')
    }
  }

  #introduce(verb: 'EHLO' | 'HELO', argument: string): Held {
    if (!/^[\x21-\x7e]{1,255}$/.test(argument)) throw new SmtpError(501, '5.5.4', `Syntax: ${verb} hostname`)
    this.#abandon() // RFC 5321 §4.1.4: like RSET
    this.#helo = argument
    this.#extended = verb === 'EHLO'
    return this.#idle(
      250,
      null,
      `${this.#server.domain} greets ${argument}`,
      ...(this.#extended ? this.#extensions() : []),
    )
  }

  #extensions(): string[] {
    const lines = ['PIPELINING', `SIZE ${this.#server.rules.maxMessageOctets}`, '8BITMIME', 'SMTPUTF8', 'DSN']
    if (this.#server.startTlsOffered && !this.tls) lines.push('STARTTLS')
    if (this.#authOffered) lines.push(`AUTH ${mechanismNames.join(' ')}`)
    return [...lines, 'ENHANCEDSTATUSCODES', 'HELP']
  }

  /** Passwords never cross an open line — RFC 4954 §4. */
  get #authOffered(): boolean {
    return this.#server.handlers.authenticate !== undefined && this.tls !== null
  }

  #startTls(): Held {
    if (this.tls) throw badSequence('TLS already active')
    if (!this.#server.startTlsOffered) throw new SmtpError(502, '5.5.1', 'STARTTLS not available')
    this.#reply(220, '2.0.0', 'Ready to start TLS')
    return this.#channel.startTls()
  }

  #auth(argument: string): Held {
    if (this.#server.handlers.authenticate === undefined) throw new SmtpError(502, '5.5.1', 'AUTH not available')
    if (!this.tls) throw tlsRequired()
    this.#introduced()
    if (this.#login || this.#transaction) throw badSequence('AUTH not permitted now') // RFC 4954 §4
    const exchange = new SaslExchange(argument)
    return this.#advance(exchange, exchange.step)
  }

  #advance(exchange: SaslExchange, step: SaslStep): Held {
    this.#exchange = step.kind === 'challenge' ? exchange : null
    return step.kind === 'challenge' ? this.#reply(334, null, step.line) : this.#authenticate(step.credentials)
  }

  async #authenticate(credentials: Credentials): Promise<void> {
    let login: Login | undefined
    try {
      login = await this.#asking(async () => this.#server.handlers.authenticate?.(credentials, this))
      if (!login) throw replies.badCredentials()
    } catch (error) {
      const refusal = this.#refusal(error)
      this.#journal.authentication(credentials, refusal)
      const tooMany = refusal.code === 535 && ++this.#refusedLogins >= MAX_REFUSED_LOGINS
      return tooMany ? this.#reply(421, '4.7.0', 'Too many failed logins, closing connection') : this.#answer(refusal)
    }
    this.#login = login
    this.#journal.authentication(credentials, null)
    this.#reply(235, '2.7.0', 'Authentication succeeded')
  }

  #mail(argument: string): Held {
    this.#introduced()
    if (this.#transaction) throw badSequence('Transaction already begun')
    if (this.#server.draining) throw new SmtpError(421, '4.3.2', 'Service shutting down')
    if (this.#server.authRequired && !this.#login) throw this.tls ? replies.authenticationRequired() : tlsRequired()
    const { maxMessageOctets } = this.#server.rules
    const mail = readMail(argument, { maxMessageOctets, authOffered: this.#authOffered })
    const begin = (): void => {
      this.#transaction = new Transaction(mail)
      this.#reply(250, '2.1.0', 'Ok')
    }
    return this.#ask(
      () => this.#server.handlers.mailFrom?.(mail, this),
      begin,
      (error) => {
        const refusal = this.#refusal(error)
        this.#journal.senderRefused(argument, refusal)
        this.#answer(refusal)
      },
    )
  }

  /** The next line does not wait: many recipients in one packet cost one round trip to the directory, not one each. */
  #rcpt(argument: string): Held {
    const transaction = this.#transaction
    this.#unanswered.add(this.#judge(argument, transaction), (result) => {
      if (result.status === 'fulfilled') {
        transaction?.add(result.value)
        return this.#reply(250, '2.1.5', 'Ok')
      }
      const refusal = this.#refusal(result.reason)
      if (transaction) transaction.refused++
      this.#journal.recipientRefused(argument, transaction, refusal)
      this.#answer(refusal)
    })
    return this.#unanswered.size < MAX_UNANSWERED ? undefined : this.#unanswered.settled
  }

  async #judge(argument: string, transaction: Transaction | null): Promise<RcptCommand> {
    if (!transaction) throw badSequence('MAIL first')
    const expected = transaction.recipientCount + this.#unanswered.size
    if (expected >= this.#server.rules.maxRecipients) throw replies.tooManyRecipients()
    const recipient = readRcpt(argument, transaction.mail)
    await this.#asking(async () => this.#server.handlers.rcptTo(recipient, transaction.mail, this))
    return recipient
  }

  #data(): Held {
    const transaction = this.#transaction
    if (!transaction) throw badSequence('MAIL first')
    // RFC 5321 §3.3: without a recipient there is nothing to accept a message for.
    if (transaction.recipientCount === 0) throw new SmtpError(554, '5.5.1', 'No valid recipients')
    const { rules, handlers } = this.#server
    const { framing, body } = transaction.receive(rules, async (content) =>
      handlers.data(transaction.envelope, content, this),
    )
    this.#channel.startData(framing, body)
    return this.#reply(354, null, 'End data with <CR><LF>.<CR><LF>')
  }

  #introduced(): void {
    if (this.#helo === '') throw badSequence('EHLO first') // RFC 5321 §4.1.4
  }

  /** A transaction that came to nothing. One that is whole already is the handler's, and logged when it decides. */
  #abandon(): void {
    const transaction = this.#transaction
    if (!transaction || transaction.complete) return
    this.#transaction = null
    transaction.abandon()
    this.#journal.abandoned(transaction)
  }

  /** Commands that do not move a message; a client may not stay by them alone. */
  #idle(code: number, status: EnhancedStatus | null, ...lines: string[]): undefined {
    if (++this.#idleCommands <= MAX_IDLE_COMMANDS) return this.#reply(code, status, ...lines)
    return this.#reply(421, '4.7.0', 'Too many commands without a message, closing connection')
  }

  #reply(code: number, status: EnhancedStatus | null, ...lines: string[]): undefined {
    this.#channel.reply({ code, status, lines })
  }

  #answer({ code, status, message }: SmtpError): undefined {
    const tooMany = PROTOCOL_ERRORS.has(code) && ++this.#badCommands >= this.#server.rules.maxBadCommands
    if (tooMany) return this.#reply(421, '4.7.0', 'Too many errors, closing connection')
    return this.#reply(code, status, message)
  }

  /** A refusal as it is. Anything else is our fault, and so it is temporary. */
  #refusal(error: unknown): SmtpError {
    if (error instanceof SmtpError) return error
    if (!(error instanceof TransactionAbandoned)) this.#journal.fault(error)
    return replies.tryLater(error)
  }

  #guard(act: () => Held): Held {
    try {
      return act()?.catch((error: unknown) => this.#answer(this.#refusal(error)))
    } catch (error) {
      this.#exchange = null
      return this.#answer(this.#refusal(error))
    }
  }

  /** Asks a handler that may know at once. */
  #ask(handler: () => void | Promise<void>, done: () => void, refused: (error: unknown) => void): Held {
    try {
      const asked = handler()
      if (asked) return this.#asking(() => asked).then(done, refused)
      done()
    } catch (error) {
      refused(error)
    }
    return undefined
  }

  async #asking<Result>(handler: () => Promise<Result>): Promise<Result> {
    this.#asked++
    try {
      return await handler()
    } finally {
      this.#asked--
    }
  }
}

const badSequence = (text: string): SmtpError => new SmtpError(503, '5.5.1', text)
const tlsRequired = (): SmtpError => new SmtpError(530, '5.7.0', 'Must issue a STARTTLS command first') // RFC 3207 §4
