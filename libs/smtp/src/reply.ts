/**
 * SMTP replies as values: the three-digit code, the enhanced status and the text.
 *
 * One class carries a refusal from the code that finds it to the wire, to the log and to the report, so the three can
 * never disagree.
 *
 * STANDARDS  RFC 5321 §4.2 (reply codes), RFC 3463 (enhanced status codes), RFC 2034 (on the wire)
 */

/** class.subject.detail — RFC 3463 §2. Class 2 succeeded, 4 may be retried, 5 will not change. */
export type EnhancedStatus = `${2 | 4 | 5}.${number}.${number}`

export class SmtpError extends Error {
  override readonly name = 'SmtpError'
  readonly code: number
  readonly status: EnhancedStatus

  /**
   * @param text what the client reads. Say what to do next, never how we decided: no hostnames, limits or table names.
   *   The reason for our eyes goes in `options.cause`.
   */
  constructor(code: number, status: EnhancedStatus, text: string, options?: ErrorOptions) {
    super(text, options)
    this.code = code
    this.status = status
  }

  /** 5yz: the sender must not retry the same transaction — RFC 5321 §4.2.1. */
  get permanent(): boolean {
    return this.code >= 500
  }
}

/** Replies more than one place gives. A reply used once is written where it is thrown. */
export const replies = {
  authenticationRequired: () => new SmtpError(530, '5.7.0', 'Authentication required'), // RFC 4954 §6
  badCredentials: () => new SmtpError(535, '5.7.8', 'Authentication credentials invalid'), // RFC 4954 §6
  noSuchMailbox: () => new SmtpError(550, '5.1.1', 'No such mailbox here'),
  relayDenied: () => new SmtpError(550, '5.7.1', 'Relaying denied'),
  senderNotOwned: () => new SmtpError(550, '5.7.1', 'Sender address not permitted for this account'), // RFC 6409 §6.1
  tooManyRecipients: () => new SmtpError(452, '4.5.3', 'Too many recipients'), // RFC 5321 §4.5.3.1.10
  systemFull: (cause?: unknown) => new SmtpError(452, '4.3.1', 'Insufficient system storage', { cause }),
  directoryUnreachable: (cause: unknown) =>
    new SmtpError(451, '4.4.3', 'Directory unavailable, try again later', { cause }),
  tryLater: (cause: unknown) => new SmtpError(451, '4.3.0', 'Temporary failure, try again later', { cause }),
} as const
