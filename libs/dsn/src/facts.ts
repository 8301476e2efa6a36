/** What a report is made from. Everything here is known to custody; nothing is asked while the report is written. */

/** RFC 3464 §2.3.3. `expanded`: passed to more than one other address, which report no further. */
export type Action = 'failed' | 'delayed' | 'delivered' | 'relayed' | 'expanded'

export interface RecipientReport {
  action: Action
  /** The address that was tried last, as in RCPT. */
  finalRecipient: string
  /** As the sender gave it: `addr-type;address`, decoded — RFC 3461 §4.2. */
  orcpt?: string | undefined
  /** RFC 3463, as in `5.1.1`. */
  status: string
  /** One or two sentences for the sender. */
  reason: string
  /** What the other side said, code first. */
  reply?: string | undefined
  /** Who said it. */
  mxHost?: string | undefined
  lastAttemptAt?: Date | undefined
  /** For `delayed`. */
  willRetryUntil?: Date | undefined
}

export interface OriginalMessage {
  queueId: string
  arrivedAt: Date
  /** Octets of what is in the spool. */
  size: number
  envid?: string | undefined
  ret?: 'FULL' | 'HDRS' | undefined
  /** As declared by the client that handed it in, or as was seen. */
  body?: '7BIT' | '8BITMIME' | undefined
  smtputf8: boolean
  /** Message-ID with its angle brackets. */
  messageId?: string | undefined
}

export interface ReportFacts {
  /** The report's own queue id: also makes the boundary, which nobody outside can know before. */
  queueId: string
  /** Message-ID of the report with its angle brackets. */
  messageId: string
  date: Date
  /** Our name in the DNS. */
  reportingMta: string
  /** The sender of the report, as in `Mail Delivery System <MAILER-DAEMON@example.org>`. */
  from: string
  /** The reverse-path of the original: never the null path — RFC 3461 §6.1. */
  to: string
  original: OriginalMessage
  recipients: readonly RecipientReport[]
  limits?: Partial<ReportLimits> | undefined
}

export interface ReportLimits {
  /** Of a larger message only the header is returned, whatever RET says: a report must reach where the message came from. */
  returnedBytes: number
  /** Octets of the header that is returned. */
  returnedHeaderBytes: number
  /** Recipients named in the text for people; the part for machines names all. */
  namedRecipients: number
}

export const DEFAULT_REPORT_LIMITS: ReportLimits = {
  returnedBytes: 1024 * 1024,
  returnedHeaderBytes: 256 * 1024,
  namedRecipients: 50,
}
