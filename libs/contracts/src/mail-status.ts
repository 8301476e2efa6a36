/**
 * NAME
 *   mail.status — what became of recipients
 * PRODUCERS
 *   router, delivery, mailstore; console (operators' acts)
 * CONSUMERS
 *   custody
 * DELIVERY
 *   At least once, in any order. One message carries many statuses, of any messages; its bucket is the first one's. Custody
 *   decides by (incarnation, attempt, rank); an ended recipient never reopens.
 * STANDARDS
 *   RFC 3464 §2.3 (what a report needs of each recipient)
 */
import { createHash } from 'node:crypto'
import { z } from 'zod'

import { defineEvent } from './define.ts'
import {
  AccountId,
  EnhancedStatus,
  ForwardPath,
  Incarnation,
  MessageEntry,
  QueueId,
  Recipient,
  RecipientKey,
  ReversePath,
  Timestamp,
} from './envelope.ts'
import { NextHop } from './mail-out.ts'
import { streams } from './streams.ts'
import { bucketOf } from './subjects.ts'

/** One final recipient as the router decided it. `merged`: the same mailbox or address came up under `into` already. */
export const Destination = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('local'), account: AccountId, detail: z.string().max(256).optional() }),
  z.object({ kind: z.literal('remote'), site: z.string(), shard: z.int().nonnegative(), expiresAt: Timestamp }),
  z.object({ kind: z.literal('merged'), into: RecipientKey }),
  /** Ended by the router itself; the status with the reason follows in the same or a later message. */
  z.object({ kind: z.literal('ended') }),
])
export type Destination = z.infer<typeof Destination>

export const FinalRecipient = z.object({
  n: RecipientKey,
  forwardPath: ForwardPath,
  reversePath: ReversePath,
  destination: Destination,
  /**
   * The original recipient stands for this one and for others, with the sender's own reverse-path: the sender hears that it
   * was expanded, not of each success — RFC 3461 §5.2.7.2 (c).
   */
  expanded: z.boolean().optional(),
})
export type FinalRecipient = z.infer<typeof FinalRecipient>

const common = { queueId: QueueId, incarnation: Incarnation, at: Timestamp }
const ofRecipient = {
  ...common,
  n: RecipientKey,
  attempt: z.int().nonnegative().default(0),
  /** How long whoever says so worked on it, milliseconds. */
  tookMs: z.int().nonnegative().optional(),
}
const reply = {
  status: EnhancedStatus,
  /** Text for a human, and for the report. */
  reason: z.string().max(2000),
  /** The SMTP reply as received, when a peer said it. */
  reply: z.string().max(2000).optional(),
  mxHost: z.string().max(255).optional(),
}

export const Status = z.discriminatedUnion('kind', [
  z.object({
    ...common,
    kind: z.literal('routed'),
    /** Index of the original recipient in the envelope, and how many there are. */
    original: z.int().nonnegative(),
    originals: z.int().min(1),
    page: z.int().min(1),
    pages: z.int().min(1),
    /** The original recipient as accepted; on page 1. */
    recipient: Recipient.optional(),
    /** On page 1 of original 0. */
    message: MessageEntry.optional(),
    recipients: z.array(FinalRecipient),
  }),
  z.object({ ...ofRecipient, kind: z.literal('delivered'), account: AccountId }),
  z.object({
    ...ofRecipient,
    kind: z.literal('relayed'),
    mxHost: z.string().max(255),
    reply: z.string().max(2000),
    dsn: z.boolean(),
  }),
  z.object({
    ...ofRecipient,
    ...reply,
    kind: z.literal('deferred'),
    nextAttemptAt: Timestamp,
    via: NextHop.optional(),
  }),
  z.object({ ...ofRecipient, ...reply, kind: z.literal('failed'), rule: z.string().max(200).optional() }),
  z.object({ ...ofRecipient, ...reply, kind: z.literal('expired') }),
  z.object({ ...ofRecipient, kind: z.literal('discarded'), rule: z.string().max(200) }),
  z.object({
    ...ofRecipient,
    kind: z.literal('held'),
    rule: z.string().max(200),
    site: z.string().max(255),
    via: NextHop.optional(),
  }),
  /** An operator let it go on, at once: out of a hold, before its time, or another way (`via`). */
  z.object({
    ...ofRecipient,
    kind: z.literal('released'),
    by: z.string().max(200),
    via: NextHop.optional(),
    /** Nothing of it was on the bus: it goes on when custody has published it again. */
    missing: z.literal(true).optional(),
  }),
  z.object({ ...ofRecipient, kind: z.literal('cancelled'), by: z.string().max(200) }),
  z.object({ ...ofRecipient, kind: z.literal('dead'), stream: z.string().max(64), reason: z.string().max(200) }),
])
export type Status = z.infer<typeof Status>

/** At most this many statuses, and this many octets, travel in one message, so that it stays below the bus's 1 MiB. */
export const MAX_STATUSES = 256
export const MAX_STATUS_BYTES = 256 * 1024
/** A `routed` status names at most this many recipients; more are paged. */
export const MAX_RECIPIENTS_PER_PAGE = 100

const statusId = (status: Status): string =>
  status.kind === 'routed'
    ? `${status.queueId}/routed/${status.original}/${status.page}/${status.incarnation}`
    : `${status.queueId}/${status.n}/${status.kind}/${status.attempt}/${status.incarnation}`

const schema = z.object({
  bucket: z.string().regex(/^[0-9]{2}$/),
  statuses: z.array(Status).min(1).max(MAX_STATUSES),
})

export const MailStatus = defineEvent({
  name: 'mail.status',
  pattern: 'mail.status.v1.{bucket}',
  stream: streams.status,
  producers: ['router', 'delivery', 'mailstore', 'console', 'custody'],
  newWorkOf: ['router'],
  consumers: [{ party: 'custody', durable: 'custody', filter: 'mail.status.v1.>' }],
  purpose: 'What became of recipients; many per message.',
  schema,
  subject: ({ bucket }) => `mail.status.v1.${bucket}`,
  messageId: ({ statuses }) =>
    `sta:${createHash('sha256').update(statuses.map(statusId).join('\n')).digest('base64url').slice(0, 32)}`,
})
export type MailStatus = z.infer<typeof schema>

/**
 * Cuts statuses to what one message may carry, in their order. A single status above MAX_STATUS_BYTES travels alone: a full
 * page of the longest paths still fits the bus.
 */
export function statusMessages(statuses: readonly Status[]): MailStatus[] {
  const messages: MailStatus[] = []
  let room = 0
  for (const status of statuses) {
    const bytes = Buffer.byteLength(JSON.stringify(status))
    const message = messages.at(-1)
    if (message && message.statuses.length < MAX_STATUSES && bytes <= room) {
      message.statuses.push(status)
      room -= bytes
    } else {
      messages.push({ bucket: bucketOf(status.queueId), statuses: [status] })
      room = MAX_STATUS_BYTES - bytes
    }
  }
  return messages
}
