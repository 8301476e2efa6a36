/** What services and operators ask custody. */
import { z } from 'zod'

import { defineRequest, defineRows } from './define.ts'
import {
  AccountId,
  EnhancedStatus,
  Envelope,
  ForwardPath,
  Incarnation,
  MessageEntry,
  Origin,
  QueueId,
  RecipientKey,
  ReversePath,
  Timestamp,
} from './envelope.ts'
import { NextHop } from './mail-out.ts'
import { Status } from './mail-status.ts'

/** Where a final recipient stands. `routed`: on its way, no attempt known yet. */
export const RecipientState = z.enum([
  'routed',
  'delivered',
  'relayed',
  'deferred',
  'failed',
  'expired',
  'discarded',
  'held',
  'cancelled',
  'dead',
])
export type RecipientState = z.infer<typeof RecipientState>

/**
 * What another system reported of a recipient after it had been handed on to it. A note, and no more: anybody can write a
 * report, so the recipient's state stays what it was.
 */
export const LaterReport = z.object({
  /** The message that brought it. */
  report: QueueId,
  /** When that was accepted. */
  at: Timestamp,
  action: z.enum(['failed', 'delayed', 'delivered', 'relayed', 'expanded']),
  status: EnhancedStatus.optional(),
  /** What was said, to whoever wrote the report. */
  reason: z.string().max(2000).optional(),
  /** Who says so. */
  reportingMta: z.string().max(255).optional(),
})
export type LaterReport = z.infer<typeof LaterReport>

export const TrackedRecipient = z.object({
  n: RecipientKey,
  original: z.int().nonnegative(),
  forwardPath: ForwardPath,
  state: RecipientState,
  attempt: z.int().nonnegative(),
  incarnation: Incarnation,
  at: Timestamp,
  /** When the router decided where it goes. */
  routedAt: Timestamp.optional(),
  /** Account, MX host, rule, or what the peer said. */
  detail: z.string().max(2000).optional(),
  status: EnhancedStatus.optional(),
  nextAttemptAt: Timestamp.optional(),
  /** The report to the sender that told of its end, or of its delay so far. */
  report: QueueId.optional(),
  /** Why nobody is told that it failed. */
  unreported: z.string().max(200).optional(),
  /** Oldest first. */
  laterReports: z.array(LaterReport).optional(),
})
export type TrackedRecipient = z.infer<typeof TrackedRecipient>

export const where = defineRequest({
  name: 'custody.where',
  answerer: 'custody',
  askers: ['operator', 'console'],
  refusals: ['noSuchMessage'],
  purpose: 'Where one message is, recipient by recipient.',
  input: z.object({ queueId: QueueId }),
  output: z.object({
    queueId: QueueId,
    origin: Origin,
    acceptedAt: Timestamp,
    reversePath: ReversePath,
    size: z.int(),
    messageId: z.string().optional(),
    account: AccountId.optional(),
    traceId: MessageEntry.shape.traceId,
    /** The recipients as accepted, by index. */
    originals: z.array(
      z.object({
        recipient: Envelope.shape.recipients.element,
        routed: z.boolean(),
        /** The report that told of its expansion, or of its delivery to a list. */
        report: QueueId.optional(),
      }),
    ),
    recipients: z.array(TrackedRecipient),
    /** When the spool record was freed; absent while the message is open. */
    freedAt: Timestamp.optional(),
  }),
})

/** One message among those looked for. */
export const FoundMessage = z.object({
  queueId: QueueId,
  messageId: z.string().optional(),
  reversePath: ReversePath,
  origin: Origin,
  acceptedAt: Timestamp,
  /** Final recipients the books know of, and those of them that have not ended. */
  recipients: z.int().nonnegative(),
  open: z.int().nonnegative(),
})
export type FoundMessage = z.infer<typeof FoundMessage>

export const findMessages = defineRequest({
  name: 'custody.find',
  answerer: 'custody',
  askers: ['operator', 'console'],
  purpose: 'Messages by Message-ID, sender or recipient, newest first; every condition given must hold.',
  input: z
    .object({
      /** With its angle brackets. */
      messageId: z.string().min(1).max(998).optional(),
      /** A whole address, in any case. */
      sender: ForwardPath.optional(),
      /** As the sender wrote it, in any case. */
      recipient: ForwardPath.optional(),
      /** Accepted at or after, and before. */
      after: Timestamp.optional(),
      before: Timestamp.optional(),
      limit: z.int().min(1).max(1000).default(50),
    })
    .refine(({ messageId, sender, recipient }) => (messageId ?? sender ?? recipient) !== undefined, {
      error: 'a Message-ID, a sender or a recipient',
    }),
  output: z.object({
    messages: z.array(FoundMessage),
    /** There are older ones. */
    more: z.boolean(),
  }),
})

/** Which open outgoing recipients; every condition given must hold. */
export const QueueFilter = z.object({
  queueId: QueueId.optional(),
  n: RecipientKey.optional(),
  /** The destination site, in any case; `.example.com` includes its subdomains. */
  site: z.string().min(1).max(255).optional(),
  /** A whole address, or `@domain`; `<>` is the null reverse-path. */
  sender: z.string().min(1).max(1024).optional(),
  recipient: z.string().min(1).max(1024).optional(),
  account: AccountId.optional(),
  states: z
    .array(z.enum(['routed', 'deferred', 'held', 'dead']))
    .min(1)
    .optional(),
  /** Accepted before. */
  before: Timestamp.optional(),
  after: Timestamp.optional(),
  /** Part of the reason or of the peer's reply, in any case. */
  reason: z.string().min(1).max(200).optional(),
})
export type QueueFilter = z.infer<typeof QueueFilter>

/** One open outgoing recipient. */
export const QueuedRecipient = z.object({
  queueId: QueueId,
  n: RecipientKey,
  site: z.string(),
  shard: z.int().nonnegative(),
  reversePath: ReversePath,
  forwardPath: ForwardPath,
  account: AccountId.optional(),
  messageId: z.string().optional(),
  size: z.int(),
  acceptedAt: Timestamp,
  expiresAt: Timestamp,
  state: z.enum(['routed', 'deferred', 'held', 'dead']),
  attempt: z.int().nonnegative(),
  /** Since when it is in this state. */
  at: Timestamp,
  nextAttemptAt: Timestamp.optional(),
  status: EnhancedStatus.optional(),
  /** What the peer said, why it is held. */
  reason: z.string().max(2000).optional(),
  mxHost: z.string().optional(),
  via: NextHop.optional(),
})
export type QueuedRecipient = z.infer<typeof QueuedRecipient>

export const listQueue = defineRows({
  name: 'custody.queue',
  answerer: 'custody',
  askers: ['operator', 'console'],
  purpose: 'Open outgoing recipients, oldest first.',
  input: z.object({ filter: QueueFilter, limit: z.int().min(1).max(1_000_000).default(1000) }),
  row: QueuedRecipient,
})

export const countQueue = defineRequest({
  name: 'custody.queueSites',
  answerer: 'custody',
  askers: ['operator', 'console'],
  purpose: 'Open outgoing recipients counted by site, the fullest first.',
  timeoutMs: 30_000,
  input: z.object({ filter: QueueFilter, limit: z.int().min(1).max(10_000).default(100) }),
  output: z.object({
    sites: z.array(
      z.object({
        site: z.string(),
        routed: z.int(),
        deferred: z.int(),
        held: z.int(),
        dead: z.int(),
        oldestAt: Timestamp,
        /** When the next one is due. */
        nextAttemptAt: Timestamp.optional(),
      }),
    ),
    /** Over all sites, also those beyond the limit. */
    total: z.int(),
  }),
})

/** What the books kept of one recipient; of a merged one, of the one in its place. Of very many statuses the first and the last are kept. */
export const recipientHistory = defineRequest({
  name: 'custody.history',
  answerer: 'custody',
  askers: ['operator', 'console'],
  refusals: ['noSuchMessage', 'noSuchRecipient'],
  purpose: "One recipient's statuses, oldest first.",
  input: z.object({ queueId: QueueId, n: RecipientKey }),
  output: z.object({
    forwardPath: ForwardPath,
    state: RecipientState,
    routedAt: Timestamp.optional(),
    /** The last is the one that stands. */
    history: z.array(Status),
    /** The reports that told the sender of its end, and of its delay. */
    report: QueueId.optional(),
    delayReport: QueueId.optional(),
    laterReports: z.array(LaterReport),
  }),
})

/** In damaged books a count may be below 0. */
const Count = z.int()

/**
 * The books of custody in numbers: every recipient accepted is somewhere. The left side is what envelopes and `routed` said,
 * the right side what the rows of the recipients say now; neither is made from the other.
 */
export const BooksBalance = z.object({
  /** The hour in which the oldest message was accepted that is still in the history; absent while there is none. */
  since: Timestamp.optional(),
  /** Original recipients of envelopes. */
  accepted: Count,
  /** Final recipients that expansion made of them, beyond one each. */
  added: Count,
  /** Final recipients that are served in another's place. */
  merged: Count,
  delivered: Count,
  relayed: Count,
  /** For good: refused, or expired. */
  failed: z.object({
    total: Count,
    /** In a report that is in custody. */
    reported: Count,
    reportPending: Count,
    /** No report is due; most frequent reason first. */
    unreported: z.array(z.object({ reason: z.string().max(300), recipients: Count })),
  }),
  /** By a rule. */
  discarded: Count,
  /** By an operator. */
  cancelled: Count,
  pending: z.object({
    /** Original recipients that have no complete `routed`. */
    notYetRouted: Count,
    /** On their way, or deferred. */
    queued: Count,
    held: Count,
    dead: Count,
  }),
  /** 0 where the books balance. */
  differences: z.object({
    /** Accepted, without those that are routed and those that are not yet. */
    originals: z.int(),
    /** Accepted + added − merged, without everything on the right side. */
    recipients: z.int(),
    /** Merged, without the rows that say so. */
    merged: z.int(),
  }),
})
export type BooksBalance = z.infer<typeof BooksBalance>

/** Over everything still in the history (`CUSTODY_HISTORY` after the record was freed), as of one moment. */
export const balanceBooks = defineRequest({
  name: 'custody.books',
  answerer: 'custody',
  askers: ['operator', 'console'],
  purpose: 'Whether the books balance: recipients accepted against what became of them.',
  timeoutMs: 60_000,
  input: z.object({}),
  output: BooksBalance,
})
