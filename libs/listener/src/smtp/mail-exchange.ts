/**
 * MAIL, RCPT and DATA of one session: one transaction after the other.
 *
 * Recipients are looked up side by side and answered in the order they came. The 250 to the end of DATA is given when the
 * handler says that the message is ours, and by nothing else.
 *
 * STANDARDS  RFC 5321 §3.3, §4.1.1.2–4; RFC 2920 (PIPELINING)
 */
import { replies, SmtpError } from '@postbus/smtp'

import type { SmtpChannel } from './channel.ts'
import { type MailCommand, type RcptCommand, readMail, readRcpt } from './envelope-commands.ts'
import { InOrder } from './in-order.ts'
import type { Journal } from './journal.ts'
import type { SmtpServer } from './server.ts'
import { badSequence, type Held, type Speaker } from './speaker.ts'
import { Transaction } from './transaction.ts'
import type { SmtpClient } from './types.ts'

/** Recipients looked up at once; the next line waits when there are more. */
const MAX_UNANSWERED = 100

export interface MailExchangeParts {
  channel: Pick<SmtpChannel, 'startData'>
  server: Pick<SmtpServer, 'handlers' | 'rules'>
  speaker: Speaker
  journal: Journal
  client: SmtpClient
}

export class MailExchange {
  readonly #parts: MailExchangeParts
  readonly #unanswered = new InOrder()
  #transaction: Transaction | null = null
  #refusedRecipients = 0

  constructor(parts: MailExchangeParts) {
    this.#parts = parts
  }

  get open(): boolean {
    return this.#transaction !== null
  }

  get smtputf8(): boolean {
    return this.#transaction?.mail.smtputf8 ?? false
  }

  /** The client waits for us. */
  get deciding(): boolean {
    return this.#transaction?.deciding ?? false
  }

  /** Replies to recipients that other commands must not overtake; undefined when there are none. */
  get unanswered(): Held {
    return this.#unanswered.size > 0 ? this.#unanswered.settled : undefined
  }

  mail(argument: string, authOffered: boolean): Held {
    const { server, speaker, journal, client } = this.#parts
    if (this.#transaction) throw badSequence('Transaction already begun')
    const mail = readMail(argument, { maxMessageOctets: server.rules.maxMessageOctets, authOffered })
    const begin = (): void => {
      this.#transaction = new Transaction(mail)
      journal.senderAccepted()
      speaker.reply(250, '2.1.0', 'Ok')
    }
    const refused = (error: unknown): void => {
      const refusal = speaker.refusal(error)
      journal.senderRefused(argument, refusal)
      speaker.refuse(refusal)
    }
    return speaker.askThen(() => server.handlers.mailFrom?.(mail, client), begin, refused)
  }

  /** The next line does not wait: many recipients in one packet cost one round trip to the directory, not one each. */
  rcpt(argument: string): Held {
    const { server, speaker, journal } = this.#parts
    const transaction = this.#transaction
    this.#unanswered.add(this.#judge(argument, transaction), (result) => {
      if (result.status === 'fulfilled') {
        transaction?.add(result.value)
        journal.recipientAccepted()
        return speaker.reply(250, '2.1.5', 'Ok')
      }
      const refusal = speaker.refusal(result.reason)
      if (transaction) transaction.refused++
      journal.recipientRefused(argument, transaction, refusal)
      if (refusal.permanent && ++this.#refusedRecipients > server.rules.maxRefusedRecipients) {
        return speaker.reply(421, '4.7.0', 'Too many unknown recipients, closing connection')
      }
      speaker.refuse(refusal)
    })
    return this.#unanswered.size < MAX_UNANSWERED ? undefined : this.#unanswered.settled
  }

  data(): void {
    const { channel, server, speaker, client } = this.#parts
    const transaction = this.#transaction
    if (!transaction) throw badSequence('MAIL first')
    // RFC 5321 §3.3: without a recipient there is nothing to accept a message for.
    if (transaction.recipientCount === 0) throw new SmtpError(554, '5.5.1', 'No valid recipients')
    const { framing, body } = transaction.receive(server.rules, async (content) =>
      server.handlers.data(transaction.envelope, content, client),
    )
    channel.startData(framing, body)
    speaker.reply(354, null, 'End data with <CR><LF>.<CR><LF>')
  }

  content(): void {
    this.#transaction?.checkContent()
  }

  /** The message is whole: wait for the handler and answer. */
  async dataEnd(): Promise<void> {
    const { speaker, journal } = this.#parts
    const transaction = this.#transaction
    if (!transaction) return
    const since = performance.now()
    try {
      const { queueId } = await transaction.decision()
      speaker.reply(250, '2.0.0', `Ok: queued as ${queueId}`)
      speaker.forgive()
      this.#refusedRecipients = 0
      journal.answered(transaction, since, queueId, null)
    } catch (error) {
      const refusal = speaker.refusal(error)
      speaker.refuse(refusal)
      journal.answered(transaction, since, null, refusal)
    }
    this.#transaction = null
  }

  /** The transaction comes to nothing. One that is whole already is the handler's, and logged when it decides. */
  abandon(): void {
    const transaction = this.#transaction
    if (!transaction || transaction.complete) return
    this.#transaction = null
    transaction.abandon()
    this.#parts.journal.abandoned(transaction)
  }

  async #judge(argument: string, transaction: Transaction | null): Promise<RcptCommand> {
    const { server, speaker, client } = this.#parts
    if (!transaction) throw badSequence('MAIL first')
    const { mail }: { mail: MailCommand } = transaction
    const expected = transaction.recipientCount + this.#unanswered.size
    if (expected >= server.rules.maxRecipients) throw replies.tooManyRecipients()
    const recipient = readRcpt(argument, mail)
    await speaker.ask(() => server.handlers.rcptTo(recipient, mail, client))
    return recipient
  }
}
