/**
 * One mail transaction: from MAIL to the answer to DATA.
 *
 * What the framing or the size limit refuses stays refused, whatever the handler says of the part it has seen.
 */
import { SmtpError } from '@postbus/smtp'

import { DataFraming } from './data-framing.ts'
import { type MailCommand, messageTooBig, type RcptCommand } from './envelope-commands.ts'
import { MessageBody } from './message-body.ts'
import type { Accepted, SmtpEnvelope, SmtpRules } from './types.ts'

/** The client went away, or began anew, before the message was whole. */
export class TransactionAbandoned extends Error {
  override readonly name = 'TransactionAbandoned'
}

const faults = {
  bareLineEnding: () => new SmtpError(550, '5.6.11', 'Bare CR or LF in message; lines must end in CRLF'), // RFC 5321 §2.3.8
  lineTooLong: () => new SmtpError(550, '5.6.0', 'Line of the message too long'),
}

export class Transaction {
  readonly mail: MailCommand
  readonly startedAt = performance.now()
  readonly #recipients = new Map<string, RcptCommand>()
  /** Recipients refused, for the log. */
  refused = 0
  #data: { framing: DataFraming; body: MessageBody; maxOctets: number; outcome: Promise<Accepted> } | null = null
  #deciding = false

  constructor(mail: MailCommand) {
    this.mail = mail
  }

  get recipientCount(): number {
    return this.#recipients.size
  }

  /** Somebody named twice gets one copy, by the parameters said last. */
  add(recipient: RcptCommand): void {
    this.#recipients.set(recipient.forwardPath, recipient)
  }

  get envelope(): SmtpEnvelope {
    return { ...this.mail, recipients: [...this.#recipients.values()] }
  }

  get receiving(): boolean {
    return this.#data !== null
  }

  /** The data has ended: from here on the handler's word counts. */
  get complete(): boolean {
    return this.#deciding
  }

  /** The client waits for the handler: the message is whole, or the handler reads slower than the client sends. */
  get deciding(): boolean {
    return this.#deciding || (this.#data?.body.full ?? false)
  }

  get octets(): number {
    return this.#data?.body.size ?? 0
  }

  /** Begins DATA: the handler starts reading before anything has come. */
  receive(
    rules: SmtpRules,
    take: (body: MessageBody) => Promise<Accepted>,
  ): { framing: DataFraming; body: MessageBody } {
    const framing = new DataFraming(rules)
    const body = new MessageBody()
    const outcome = take(body)
    // Looked at when the data has ended; until then a refusal only means that nobody reads.
    outcome.catch(() => body.abandon())
    this.#data = { framing, body, maxOctets: rules.maxMessageOctets, outcome }
    return { framing, body }
  }

  checkContent(): void {
    if (!this.#data) return
    const { framing, body, maxOctets } = this.#data
    if (framing.fault) body.fail(faults[framing.fault]())
    else if (body.size > maxOctets) {
      body.fail(messageTooBig())
      framing.discard()
    }
  }

  /** After the end of the data. @throws the refusal: the framing's or the handler's */
  async decision(): Promise<Accepted> {
    if (!this.#data) throw new TransactionAbandoned('no data')
    const { body, outcome } = this.#data
    this.#deciding = true
    body.end()
    const accepted = await outcome.catch((error: unknown) => {
      throw body.failure ?? error
    })
    if (body.failure) throw body.failure
    return accepted
  }

  /** Nothing of it may be kept. Without effect once the data has ended: then the handler's word counts. */
  abandon(): void {
    this.#data?.body.fail(new TransactionAbandoned('client gone before the end of the message'))
  }
}
