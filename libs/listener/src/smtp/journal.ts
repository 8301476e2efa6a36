/** What one session leaves behind: a log line for each transaction, refusal and login, and the counts. */
import { SmtpError } from '@postbus/smtp'

import type { LoginFacts } from './login.ts'
import type { SmtpServer } from './server.ts'
import type { Transaction } from './transaction.ts'
import type { SmtpClient } from './types.ts'

export class Journal {
  readonly #server: Pick<SmtpServer, 'log' | 'metrics'>
  readonly #client: SmtpClient

  constructor(server: Pick<SmtpServer, 'log' | 'metrics'>, client: SmtpClient) {
    this.#server = server
    this.#client = client
  }

  command(label: string): void {
    this.#server.metrics.commands.inc({ verb: label })
  }

  authentication({ mechanism, username }: LoginFacts, refusal: SmtpError | null): void {
    const outcome = refusal === null ? 'accepted' : refusal.code === 535 ? 'refused' : 'failed'
    this.#server.metrics.auth?.inc({ mechanism, outcome })
    this.#info('authentication', { mechanism, username, outcome, ...refusalFacts(refusal) })
  }

  senderAccepted(): void {
    this.#server.metrics.senders.inc({ outcome: 'accepted' })
  }

  recipientAccepted(): void {
    this.#server.metrics.recipients.inc({ outcome: 'accepted' })
  }

  recipientRefused(argument: string, transaction: Transaction | null, refusal: SmtpError): void {
    this.#server.metrics.recipients.inc({ outcome: refusal.permanent ? 'refused' : 'deferred' })
    const reversePath = transaction?.mail.reversePath
    this.#info('recipient refused', {
      forwardPath: argument.replace(/^to:\s*/i, ''),
      reversePath,
      ...refusalFacts(refusal),
    })
  }

  senderRefused(argument: string, refusal: SmtpError): void {
    this.#server.metrics.senders.inc({ outcome: refusal.permanent ? 'refused' : 'deferred' })
    this.#info('sender refused', { reversePath: argument.replace(/^from:\s*/i, ''), ...refusalFacts(refusal) })
  }

  /** The end of DATA was answered. */
  answered(transaction: Transaction, since: number, queueId: string | null, refusal: SmtpError | null): void {
    const { messages, bytes, acceptSeconds } = this.#server.metrics
    messages.inc({ outcome: refusal === null ? 'accepted' : refusal.permanent ? 'refused' : 'deferred' })
    acceptSeconds.observe((performance.now() - since) / 1000)
    if (refusal === null) bytes.inc(transaction.octets)
    this.#info(refusal === null ? 'message accepted' : 'message refused', {
      queueId: queueId ?? undefined,
      ...transactionFacts(transaction),
      ...refusalFacts(refusal),
    })
  }

  abandoned(transaction: Transaction): void {
    if (transaction.receiving) this.#server.metrics.messages.inc({ outcome: 'aborted' })
    this.#info('transaction abandoned', transactionFacts(transaction))
  }

  fault(err: unknown): void {
    this.#server.log.error({ err, sessionId: this.#client.sessionId }, 'handler failed')
  }

  #info(message: string, facts: object): void {
    const { sessionId, address, helo, protocol, login } = this.#client
    const who = { sessionId, clientAddress: address, helo, protocol, account: login?.account }
    this.#server.log.info({ ...who, ...facts }, message)
  }
}

function transactionFacts(transaction: Transaction): object {
  return {
    reversePath: transaction.mail.reversePath,
    recipients: transaction.recipientCount,
    recipientsRefused: transaction.refused,
    size: transaction.octets,
    elapsedMs: Math.round(performance.now() - transaction.startedAt),
  }
}

/** The cause is for our eyes; the text is what the client read. */
function refusalFacts(refusal: SmtpError | null): object {
  if (refusal === null) return {}
  const { code, status, message, cause } = refusal
  return { code, status, reply: message, ...(cause === undefined ? {} : { err: cause }) }
}
