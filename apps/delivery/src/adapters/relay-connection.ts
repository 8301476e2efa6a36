/**
 * nodemailer's SMTP connection as a relay needs it. The library knows one set of DSN parameters for all recipients and decides
 * about SMTPUTF8 by the addresses alone; here MAIL and RCPT get the parameters the transaction says. Of the replies an LMTP
 * server gives for each recipient it keeps the refusals; here all are kept. Content goes to the socket by itself (OutgoingContent). All
 * that hangs on methods of the library that are not public: smtp-client.test.ts fails when an upgrade changes them.
 */
import type { Readable } from 'node:stream'

import { TLSSocket } from 'node:tls'

import SMTPConnection, {
  type SMTPConnectionOptions,
  type SMTPConnectionSendInfo,
  type SMTPEnvelope,
} from 'nodemailer/lib/smtp-connection'

import { DataSink, type OutgoingContent, type Sink } from './outgoing-content.ts'

type SendCommand = (this: SMTPConnection, line: string, logged?: string) => void

type AnswerForOne = (this: SMTPConnection, recipient: string, final: boolean, reply: string, done: unknown) => void

type CreateSendStream = (this: SMTPConnection, done: unknown) => Sink

type AnswerForAll = (this: SMTPConnection, reply: string, done: unknown) => void

// Not in its types.
const {
  _sendCommand: sendCommand,
  _actionLMTPStream: answerForOne,
  _actionSMTPStream: answerForAll,
  _createSendStream: createSendStream,
} = SMTPConnection.prototype as unknown as {
  _sendCommand: SendCommand
  _actionLMTPStream: AnswerForOne
  _actionSMTPStream: AnswerForAll
  _createSendStream: CreateSendStream
}

export class RelayConnection extends SMTPConnection {
  /** The library's own, not in its types: what is done with the replies that are still due, in order. */
  declare readonly _responseActions: ((reply: string) => void)[]
  /** Added to MAIL unless it is there already. */
  mailParameters: readonly string[] = []
  /** Added to RCPT, by forward-path. */
  rcptParameters: ReadonlyMap<string, string> = new Map()
  /** What an LMTP server answered to the data for each recipient, by forward-path — RFC 2033 §4.2. */
  readonly lmtpReplies = new Map<string, string>()
  /** Told of every command when it is sent, by its verb. */
  sent: (verb: string) => void = () => {}
  /** How long the reply to a DATA may take that is sent alone. */
  dataTimeoutMs: number | null = null

  constructor(options: SMTPConnectionOptions) {
    super(options)
    // Whoever waits for something is told by its own promise; nobody waiting is no reason to crash.
    this.on('error', () => {})
  }

  /** Resolves when greeting, EHLO and STARTTLS are done. */
  established(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.once('error', reject)
      this.connect((error) => {
        this.off('error', reject)
        if (error) reject(error)
        else resolve()
      })
    })
  }

  logIn({ user, password }: { user: string; password: string }): Promise<void> {
    return new Promise((resolve, reject) => {
      this.login({ credentials: { user, pass: password } }, (error) => (error ? reject(error) : resolve()))
    })
  }

  /** As `send`, with content that goes to the socket by itself. */
  transmit(
    envelope: SMTPEnvelope,
    content: OutgoingContent,
    done: (error: Error | null | undefined, info: SMTPConnectionSendInfo) => void,
  ): void {
    // All that the library does to a stream is: listen for its error, pipe and destroy it.
    this.send(envelope, content as unknown as Readable, done)
  }

  /** `none` in the clear. */
  get tlsVersion(): string {
    const { _socket: socket } = this
    return socket instanceof TLSSocket ? (socket.getProtocol() ?? 'unknown') : 'none'
  }

  /** How long the peer may say and take nothing. */
  silence(ms: number): void {
    const { _socket: socket } = this
    if (socket) socket.setTimeout(ms)
  }

  _createSendStream(done: unknown): Sink {
    const { _socket: socket } = this
    // An LMTP server answers many times; the library's own stream goes with that.
    if (this.options.lmtp || !socket) return createSendStream.call(this, done)
    this._responseActions.push((reply) => answerForAll.call(this, reply, done))
    return new DataSink(socket)
  }

  _actionLMTPStream(recipient: string, final: boolean, reply: string, done: unknown): void {
    this.lmtpReplies.set(recipient, reply)
    answerForOne.call(this, recipient, final, reply, done)
  }

  _sendCommand(line: string, logged?: string): void {
    if (line === 'DATA' && this.dataTimeoutMs !== null) this.silence(this.dataTimeoutMs)
    this.sent(/^[A-Z]*/.exec(line)?.[0] ?? '')
    sendCommand.call(this, this.#withParameters(line), logged)
  }

  #withParameters(line: string): string {
    if (line.startsWith('MAIL FROM:<')) {
      const missing = this.mailParameters.filter((parameter) => !line.split(' ').includes(parameter))
      return [line, ...missing].join(' ')
    }
    if (!line.startsWith('RCPT TO:<')) return line
    const parameters = this.rcptParameters.get(line.slice('RCPT TO:<'.length, line.lastIndexOf('>')))
    return parameters ? `${line} ${parameters}` : line
  }
}
