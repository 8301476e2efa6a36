/**
 * The words every contract shares: queue ids, paths, recipients, the SMTP envelope.
 *
 * Addresses were parsed at the SMTP door (libs/smtp); here they are only bounded and kept free of what could
 * break a line, so that a spelling a peer may legally use is carried through unchanged.
 *
 * STANDARDS  RFC 5321 §4.1.1.2–3, §4.5.3.1; RFC 3461 §4; RFC 6531 §3.4; RFC 8689 §2
 */
import { z } from 'zod'

/**
 * Our name for one accepted message, from the 250 to the last attempt: 26 characters of Crockford's base 32. Not the Message-ID.
 * Messages from a client carry their time in the first ten characters (ULID); a report's is a hash of what it reports.
 */
export const QueueId = z
  .string()
  .regex(/^[0-9A-HJKMNP-TV-Z]{26}$/)
  .brand<'QueueId'>()
export type QueueId = z.infer<typeof QueueId>

/** A path without its angle brackets. Longer than RFC 5321 §4.5.3.1.3 asks (256), because UTF-8 is longer than ASCII. */
const Path = z
  .string()
  .max(1024)
  // Control characters are exactly what is refused
  .regex(/^[^\u0000-\u001f\u007f]*$/)

/** MAIL FROM without angle brackets; '' is the null reverse-path — RFC 5321 §4.5.5. */
export const ReversePath = Path
/** RCPT TO without angle brackets, as the client spelt it — RFC 5321 §4.1.1.3. */
export const ForwardPath = Path.min(1)

/** When the sender wants a report about one recipient — RFC 3461 §4.1. NEVER stands alone. */
export const Notify = z.array(z.enum(['NEVER', 'SUCCESS', 'FAILURE', 'DELAY'])).min(1)

/** One forward-path with its DSN parameters — RFC 3461 §4.1–4.2. */
export const Recipient = z.object({
  forwardPath: ForwardPath,
  /** `addr-type;xtext-decoded address`: what a report must name as the original recipient. */
  orcpt: z.string().max(1024).optional(),
  notify: Notify.optional(),
})
export type Recipient = z.infer<typeof Recipient>

/** What SMTP calls the envelope. IMAP's ENVELOPE is parsed header fields and is called ImapEnvelope here. */
export const Envelope = z.object({
  reversePath: ReversePath,
  recipients: z.array(Recipient).min(1),
  envid: z.string().max(100).optional(),
  ret: z.enum(['FULL', 'HDRS']).optional(),
  body: z.enum(['7BIT', '8BITMIME']).optional(),
  smtputf8: z.boolean().default(false),
  requireTls: z.boolean().default(false),
})
export type Envelope = z.infer<typeof Envelope>

/** How a message became ours. */
export const Origin = z.enum(['submission', 'inbound', 'report'])
export type Origin = z.infer<typeof Origin>

/** Opaque, lower case, without dots: safe as a subject token. */
export const AccountId = z.string().regex(/^[a-z0-9]{8,32}$/)
export type AccountId = z.infer<typeof AccountId>

/** One final recipient of one message: a hash of (original recipient, final recipient), so that a second run of the router numbers alike. */
export const RecipientKey = z.string().regex(/^[0-9a-f]{16}$/)
export type RecipientKey = z.infer<typeof RecipientKey>

/** Raised by custody each time it publishes again what the bus lost; part of every message id derived from it. */
export const Incarnation = z.int().nonnegative()

/** RFC 3463. Class 2 succeeded, 4 may be tried again, 5 will not change. */
export const EnhancedStatus = z.templateLiteral([
  z.enum(['2', '4', '5']),
  '.',
  z.int().min(0).max(999),
  '.',
  z.int().min(0).max(999),
])

export const Timestamp = z.iso.datetime()

/** The facts of an accepted message that travel with every task made from it. */
export const MessageFacts = z.object({
  queueId: QueueId,
  incarnation: Incarnation,
  acceptedAt: Timestamp,
  origin: Origin,
  /** Octets of the message as it stands in the spool, trace header included. */
  size: z.int().nonnegative(),
  body: Envelope.shape.body,
  smtputf8: z.boolean(),
  requireTls: z.boolean(),
  envid: Envelope.shape.envid,
  ret: Envelope.shape.ret,
})
export type MessageFacts = z.infer<typeof MessageFacts>

/** A message as a whole, as custody's books know it: with it and its recipient a task can be made again. */
export const MessageEntry = z.object({
  ...MessageFacts.shape,
  reversePath: ReversePath,
  account: AccountId.optional(),
  /** The Message-ID field with its angle brackets, when the message has one. */
  messageId: z.string().max(998).optional(),
  /** It came from the null reverse-path and calls itself a delivery report (RFC 3464): perhaps about a message of ours. */
  report: z.boolean().optional(),
  /** The trace its acceptance belongs to, whether it is recorded anywhere or not — W3C Trace Context §3.2.2.3. */
  traceId: z
    .string()
    .regex(/^[0-9a-f]{32}$/)
    .optional(),
})
export type MessageEntry = z.infer<typeof MessageEntry>
