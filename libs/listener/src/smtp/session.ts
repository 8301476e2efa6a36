/**
 * One SMTP session: which command may come now, and who does what it says.
 *
 * Replies leave in the order of the commands; what was said before STARTTLS is forgotten after it. What a line sets off belongs to the
 * trace of its transaction, or of the session where none is open.
 *
 * STANDARDS  RFC 5321 §4.1 (commands), §4.1.4 (their order); RFC 3207 (STARTTLS); RFC 4954 (AUTH); RFC 3848 (protocol names)
 */
import { replies, SmtpError } from '@postbus/smtp'
import { beginTrace, SpanKind, type Step } from '@postbus/tracing'

import type { TlsFacts } from '../tls-facts.ts'
import type { SmtpChannel } from './channel.ts'
import { type Command, parseCommand } from './command-line.ts'
import { Journal } from './journal.ts'
import { LoginDesk } from './login.ts'
import { MailExchange } from './mail-exchange.ts'
import type { SmtpServer } from './server.ts'
import { badSequence, type Held, Speaker, tlsRequired } from './speaker.ts'
import type { Login, SmtpClient } from './types.ts'

/** RFC 5321 §4.1.1: with an argument they are malformed. */
const NO_ARGUMENT = new Set(['DATA', 'RSET', 'QUIT', 'STARTTLS'])
const HELP = ['Commands: EHLO HELO STARTTLS AUTH MAIL RCPT DATA RSET NOOP VRFY HELP QUIT', 'See RFC 5321']

export class SmtpSession implements SmtpClient {
  readonly #channel: SmtpChannel
  readonly #server: SmtpServer
  readonly #journal: Journal
  readonly #speaker: Speaker
  readonly #desk: LoginDesk
  readonly #exchange: MailExchange
  readonly #gone = new AbortController()
  #step: Step | null = null
  /** Pending while the service looks at who connected. */
  #greeted: Held
  #helo = ''
  #extended = false
  #lastLineAt = performance.now()

  constructor(channel: SmtpChannel, server: SmtpServer) {
    this.#channel = channel
    this.#server = server
    this.#journal = new Journal(server, this)
    this.#speaker = new Speaker(channel, this.#journal, server.rules.maxBadCommands)
    const parts = { channel, server, speaker: this.#speaker, journal: this.#journal, client: this }
    this.#desk = new LoginDesk(parts)
    this.#exchange = new MailExchange(parts)
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
    return this.#desk.login
  }

  get tls(): TlsFacts | null {
    return this.#channel.tls
  }

  get signal(): AbortSignal {
    return this.#gone.signal
  }

  /** RFC 3848; with SMTPUTF8 the names of RFC 6531 §4.3. */
  get protocol(): string {
    if (!this.#extended) return 'SMTP'
    const base = this.#exchange.smtputf8 ? 'UTF8SMTP' : 'ESMTP'
    return `${base}${this.tls ? 'S' : ''}${this.login ? 'A' : ''}`
  }

  /** The client waits for us, not we for it. */
  get working(): boolean {
    return this.#speaker.asking || this.#exchange.deciding
  }

  get silentMs(): number {
    return performance.now() - this.#lastLineAt
  }

  greet(): void {
    this.#step = beginTrace(this.#server.tracer, 'SMTP session', {
      kind: SpanKind.SERVER,
      attributes: {
        'network.protocol.name': 'smtp',
        'client.address': this.address,
        'client.port': this.port,
        'postbus.session_id': this.sessionId,
      },
    })
    this.#exchange.session = this.#step
    this.#within(() => this.#greet())
  }

  #greet(): void {
    if (this.#server.draining) return this.drain()
    const greeting = (): void => this.#speaker.reply(220, null, `${this.#server.domain} ESMTP Service Ready`)
    const refused = (error: unknown): void => {
      this.#speaker.refuse(this.#speaker.refusal(error))
      this.#channel.close()
    }
    this.#greeted = this.#speaker
      .askThen(() => this.#server.handlers.connect?.(this), greeting, refused)
      ?.finally(() => {
        this.#greeted = undefined
      })
  }

  /** TLS is up: whatever the client said before is forgotten — RFC 3207 §4.2. */
  secured(): void {
    this.#helo = ''
    this.#extended = false
    this.#desk.forget()
    this.#exchange.abandon()
  }

  line(line: Buffer): Held {
    return this.#within(() => this.#line(line))
  }

  #line(line: Buffer): Held {
    if (this.#greeted) return this.#greeted.then(() => this.line(line))
    this.#lastLineAt = performance.now()
    if (this.#desk.awaiting) return this.#speaker.guard(() => this.#desk.respond(line.toString('latin1')))
    const command = parseCommand(line)
    const before = command.verb === 'RCPT' ? undefined : this.#exchange.unanswered
    return before ? before.then(() => this.#run(command)) : this.#run(command)
  }

  fault(fault: 'bareLineFeed' | 'lineTooLong'): Promise<void> {
    return this.#within(() => this.#fault(fault))
  }

  async #fault(fault: 'bareLineFeed' | 'lineTooLong'): Promise<void> {
    await this.#exchange.unanswered
    // Where the next command begins can no longer be told, so nothing more is read.
    if (fault === 'bareLineFeed') {
      return this.#speaker.reply(421, '4.5.2', 'Line feed without carriage return, closing connection')
    }
    // RFC 4954 §6
    if (this.#desk.awaiting) return this.#desk.breakOff(new SmtpError(500, '5.5.6', 'Line too long'))
    this.#speaker.refuse(new SmtpError(500, '5.5.2', 'Line too long'))
  }

  content(): void {
    this.#exchange.content()
  }

  async dataEnd(): Promise<void> {
    await this.#within(() => this.#exchange.dataEnd())
    if (this.#server.draining) this.drain()
  }

  /** The client has closed its side. What it still waits for is said, then ours is closed, too. */
  async end(): Promise<void> {
    await this.#greeted
    await this.#exchange.unanswered
    this.#channel.close()
  }

  /** Between two messages the session ends at once; inside one, when it has been answered. */
  drain(): void {
    if (!this.#exchange.open && !this.working) this.#speaker.reply(421, '4.3.2', 'Service shutting down')
  }

  /** Once, when nothing more will come or be answered. */
  closed(): void {
    this.#within(() => this.#exchange.abandon())
    this.#gone.abort()
    this.#server.handlers.closed?.(this)
    this.#step?.set({ 'postbus.helo': this.#helo, ...(this.tls && { 'tls.protocol.version': this.tls.version }) })
    this.#step?.end()
  }

  #within<T>(work: () => T): T {
    const step = this.#exchange.step ?? this.#step
    return step ? step.run(work) : work()
  }

  #run(command: Command): Held {
    if (this.#channel.over) return undefined
    this.#journal.command(command.label)
    return this.#speaker.guard(() => this.#dispatch(command))
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
        return this.#exchange.rcpt(argument)
      case 'DATA':
        return void this.#exchange.data()
      case 'AUTH':
        return this.#auth(argument)
      case 'STARTTLS':
        return this.#startTls()
      case 'RSET':
        this.#exchange.abandon()
        return this.#speaker.idle(250, '2.0.0', 'Ok')
      case 'NOOP':
        return this.#speaker.idle(250, '2.0.0', 'Ok')
      case 'HELP':
        return this.#speaker.idle(214, '2.0.0', ...HELP)
      case 'VRFY':
        if (argument === '') throw new SmtpError(501, '5.5.4', 'Syntax: VRFY string')
        // RFC 5321 §7.3: who exists is told to senders at RCPT, not to harvesters here.
        return this.#speaker.idle(252, '2.5.0', 'Cannot verify the user, but will take mail for it and try to deliver')
      case 'EXPN':
        throw new SmtpError(502, '5.5.1', 'EXPN not available')
      case 'QUIT':
        this.#speaker.reply(221, '2.0.0', `${this.#server.domain} closing connection`)
        return void this.#channel.close()
      case 'HTTP': // A web page made a browser talk to us; its next lines may look like commands.
        return this.#speaker.reply(421, '4.7.0', 'This is no web server')
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
    this.#exchange.abandon() // RFC 5321 §4.1.4: like RSET
    this.#helo = argument
    this.#extended = verb === 'EHLO'
    const greeting = `${this.#server.domain} greets ${argument}`
    return this.#speaker.idle(250, null, greeting, ...(this.#extended ? this.#extensions() : []))
  }

  #extensions(): string[] {
    const lines = ['PIPELINING', `SIZE ${this.#server.rules.maxMessageOctets}`, '8BITMIME', 'SMTPUTF8', 'DSN']
    if (this.#server.startTlsOffered && !this.tls) lines.push('STARTTLS')
    if (this.#authOffered) lines.push(`AUTH ${this.#desk.mechanisms.join(' ')}`)
    return [...lines, 'ENHANCEDSTATUSCODES', 'HELP']
  }

  /** Passwords never cross an open line — RFC 4954 §4. */
  get #authOffered(): boolean {
    return this.#server.handlers.authenticate !== undefined && this.tls !== null
  }

  #startTls(): Held {
    if (this.tls) throw badSequence('TLS already active')
    if (!this.#server.startTlsOffered) throw new SmtpError(502, '5.5.1', 'STARTTLS not available')
    this.#speaker.reply(220, '2.0.0', 'Ready to start TLS')
    return this.#channel.startTls()
  }

  #auth(argument: string): Held {
    if (this.#server.handlers.authenticate === undefined) throw new SmtpError(502, '5.5.1', 'AUTH not available')
    if (!this.tls) throw tlsRequired()
    this.#introduced()
    if (this.login || this.#exchange.open) throw badSequence('AUTH not permitted now') // RFC 4954 §4
    return this.#desk.begin(argument)
  }

  #mail(argument: string): Held {
    this.#introduced()
    if (this.#server.draining) throw new SmtpError(421, '4.3.2', 'Service shutting down')
    if (this.#server.authRequired && !this.login) throw this.tls ? replies.authenticationRequired() : tlsRequired()
    return this.#exchange.mail(argument, this.#authOffered)
  }

  #introduced(): void {
    if (this.#helo === '') throw badSequence('EHLO first') // RFC 5321 §4.1.4
  }
}
