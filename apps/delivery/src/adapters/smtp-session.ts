/** One SMTP session: what the peer offers, and transactions one after the other. */
import type { SMTPConnectionEnvelope, SMTPConnectionSendInfo, SMTPEnvelope } from 'nodemailer/lib/smtp-connection'

import { type Step, SpanKind, traced } from '@postbus/tracing'

import { type PeerReply, replyText } from '../attempt/reply.ts'
import type { Answer, Peer, Session, Transaction } from '../attempt/session.ts'
import { DialogueSteps } from './dialogue-steps.ts'
import { OutgoingContent } from './outgoing-content.ts'
import type { RelayConnection } from './relay-connection.ts'

export interface SmtpSessionOptions {
  replyTimeoutMs: number
  dataTimeoutMs: number
  blockTimeoutMs: number
  dotTimeoutMs: number
  maxMessages: number
}

export class SmtpSession implements Session {
  readonly peer: Peer
  /** Called instead of closing when the session may be used again. */
  onRelease: () => void = () => this.close()
  readonly #connection: RelayConnection
  readonly #options: SmtpSessionOptions
  #messages = 0
  #usable = true
  #reused = false
  #waiting: { timer: NodeJS.Timeout; gone(): void } | undefined

  constructor(connection: RelayConnection, peer: Peer, options: SmtpSessionOptions) {
    this.#connection = connection
    this.#options = options
    this.peer = peer
    // Pipelined, DATA is sent while replies to MAIL and RCPT are still due, which may take longer.
    connection.dataTimeoutMs = peer.offers('PIPELINING') ? null : options.dataTimeoutMs
    connection.once('end', () => this.#end())
  }

  get reused(): boolean {
    return this.#reused
  }

  send(transaction: Transaction, body: AsyncIterable<Uint8Array>): Promise<Answer[]> {
    const attributes = {
      'postbus.recipients': transaction.recipients.length,
      'messaging.message.body.size': transaction.size,
      'postbus.session.reused': this.#reused,
    }
    return traced('SMTP send', { kind: SpanKind.CLIENT, attributes }, (step) => this.#send(transaction, body, step))
  }

  async #send(transaction: Transaction, body: AsyncIterable<Uint8Array>, step: Step): Promise<Answer[]> {
    const { reversePath, recipients, size, body8bit, smtputf8, requireTls, ret, envid } = transaction
    const connection = this.#connection
    const steps = new DialogueSteps(this.peer.offers('PIPELINING') ? ['MAIL', 'RCPT', 'DATA'] : [])
    connection.sent = (verb) => steps.begin(verb)
    this.#messages++
    connection.mailParameters = smtputf8 ? ['SMTPUTF8'] : []
    connection.rcptParameters = new Map(recipients.map(({ forwardPath, parameters }) => [forwardPath, parameters]))
    connection.lmtpReplies.clear()
    connection.silence(this.#options.replyTimeoutMs)
    let unreadable: { cause: unknown } | undefined
    let afterDot = false
    const content = new OutgoingContent(body, {
      begun: () => {
        steps.begin('content')
        connection.silence(this.#options.blockTimeoutMs)
      },
      ended: () => {
        afterDot = true
        steps.begin('reply')
        connection.silence(this.#options.dotTimeoutMs)
      },
    })
    content.once('error', (cause) => {
      unreadable = { cause }
    })
    // The library notes on the envelope what each recipient was answered, also when the message fails afterwards.
    const envelope: SMTPEnvelope & Partial<Pick<SMTPConnectionEnvelope, 'rejectedErrors'>> = {
      from: reversePath,
      to: recipients.map(({ forwardPath }) => forwardPath),
      size,
      use8BitMime: body8bit,
      requireTLSExtensionEnabled: requireTls,
      dsn: { ret, envid },
    }
    const outcome = await new Promise<SMTPConnectionSendInfo | Failure>((resolve) => {
      connection.transmit(envelope, content, (error, info) => resolve(error ? failureOf(error) : info))
    })
    content.destroy()
    connection.sent = () => {}
    steps.end(outcome instanceof Failure ? outcome.code : undefined)
    connection.silence(this.#options.replyTimeoutMs)
    if (unreadable !== undefined) {
      // Without the final dot nothing was sent; the session cannot be brought back in step.
      this.#usable = false
      throw unreadable.cause
    }
    // 0: the peer said nothing.
    step.set({ 'postbus.smtp.code': Number(outcome.response?.slice(0, 3)) || 0 })
    if (outcome instanceof Failure) {
      step.failed(outcome.code)
      this.#usable = false
    }
    // RFC 2920 §3.1: with MAIL refused, what is said to the pipelined RCPTs (503) is about the order of commands only.
    const said = outcome instanceof Failure && outcome.command === 'MAIL FROM' ? [] : (envelope.rejectedErrors ?? [])
    const refused = new Map(said.map((error) => [error.recipient, failureOf(error)]))
    return recipients.map(({ forwardPath }) => {
      const own = connection.lmtpReplies.get(forwardPath)
      if (own !== undefined) {
        const text = replyText(own)
        return text.startsWith('2')
          ? { kind: 'accepted', reply: text }
          : { kind: 'refused', reply: { to: 'DATA', text } }
      }
      const reply = refused.get(forwardPath)?.response
      if (reply !== undefined) return { kind: 'refused', reply: { to: 'RCPT', text: reply } }
      if (outcome instanceof Failure) return outcome.answer(afterDot)
      return { kind: 'accepted', reply: replyText(outcome.response) }
    })
  }

  release(): void {
    if (this.#usable && this.#messages < this.#options.maxMessages) this.onRelease()
    else this.close()
  }

  /** Waits for another message. @param gone called when it ended instead */
  wait(idleMs: number, gone: () => void): void {
    const timer = setTimeout(() => this.close(), idleMs)
    this.#waiting = { timer, gone }
  }

  /** @returns whether it is still there */
  wake(): boolean {
    clearTimeout(this.#waiting?.timer)
    this.#waiting = undefined
    this.#reused = true
    return this.#usable
  }

  close(): void {
    if (!this.#usable) return this.#connection.close()
    this.#end()
    // RFC 5321 §4.1.1.10: not without QUIT; but nobody waits long for its answer.
    this.#connection.silence(QUIT_TIMEOUT_MS)
    this.#connection.quit()
  }

  #end(): void {
    this.#usable = false
    clearTimeout(this.#waiting?.timer)
    this.#waiting?.gone()
    this.#waiting = undefined
  }
}

const QUIT_TIMEOUT_MS = 5000

/** An error of the library as what it says about the transaction. */
export class Failure {
  readonly code: string
  readonly message: string
  readonly response: string | undefined
  readonly command: string | undefined

  constructor(error: { code?: unknown; message: string; response?: unknown; command?: unknown }) {
    this.code = typeof error.code === 'string' ? error.code : ''
    // The library puts the peer's words into its own.
    this.message = replyText(error.message)
    this.response = typeof error.response === 'string' ? replyText(error.response) : undefined
    this.command = typeof error.command === 'string' ? error.command : undefined
  }

  answer(afterDot: boolean): Answer {
    if (this.response === undefined) return { kind: 'broken', reason: this.message, afterDot }
    return { kind: 'refused', reply: { to: this.#answered(), text: this.response } }
  }

  #answered(): PeerReply['to'] {
    if (this.command === 'MAIL FROM') return 'MAIL'
    if (this.command === 'DATA') return 'DATA'
    return this.command === 'RCPT TO' ? 'RCPT' : 'session'
  }
}

export const failureOf = (error: unknown): Failure =>
  new Failure(error instanceof Error ? error : new Error(String(error)))

/** RFC 5321 §4.1.1.1: the name on the first line, a keyword with its parameters on each of the others. */
export function peerOf({ lastServerResponse, secure }: RelayConnection): Peer {
  const [greeting = '', ...lines] = lastServerResponse ? lastServerResponse.split(/\r?\n/) : []
  const offers = new Map<string, string>()
  for (const line of lines) {
    const [keyword = '', ...parameters] = line.slice('250-'.length).trim().split(/\s+/)
    offers.set(keyword.toUpperCase(), parameters.join(' '))
  }
  return {
    name: greeting.slice('250-'.length).trim().split(/\s+/)[0] ?? '',
    secure,
    offers: (extension) => offers.has(extension),
    maxSize: Number(offers.get('SIZE')) || 0,
  }
}
