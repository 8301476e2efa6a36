/** An account as a whole: its quota, its annotations, what operators do in it, and what was delivered to it. */
import { z } from 'zod'

import { defineRequest, defineRows } from './define.ts'
import { SessionToken } from './directory.ts'
import { AccountId, QueueId, Timestamp } from './envelope.ts'
import { front, frontOrOperator, operators, MailboxName, Flag, Uid } from './mailstore-terms.ts'

export const quotaOf = defineRequest({
  ...frontOrOperator,
  name: 'mailstore.quota',
  refusals: ['tokenInvalid'],
  purpose: "The account's use and limit.",
  input: z.object({ token: SessionToken }),
  output: z.object({
    usedBytes: z.int().nonnegative(),
    limitBytes: z.int().nonnegative().nullable(),
    messages: z.int().nonnegative(),
  }),
})

/** Lower case: an entry's name is the same in any — RFC 5464 §3.2. */
export const MetadataEntry = z
  .string()
  .max(255)
  .regex(/^\/(private|shared)(\/[^/*%\u0000-\u001f\u007f-\uffffA-Z]+)+$/)

/** Asks for entries below a name, too; so the name may be as short as `/private` — RFC 5464 §4.2.2 (DEPTH). */
export const MetadataName = z
  .string()
  .max(255)
  .regex(/^\/(private|shared)(\/[^/*%\u0000-\u001f\u007f-\uffffA-Z]+)*$/)

/** Octets of one value. */
export const MAX_METADATA_BYTES = 65_536

/** Entries at once. */
export const MAX_METADATA_ENTRIES = 100

/** A mailbox, or with '' the account as a whole: what RFC 5464 calls the server's, private to the account. */
const MetadataOf = z.string().max(1000)

export const getMetadata = defineRows({
  ...front,
  name: 'mailstore.getMetadata',
  refusals: ['tokenInvalid', 'noSuchMailbox'],
  purpose: 'Annotations of a mailbox or the account, each value the one byte string of its row — RFC 5464.',
  timeoutMs: 10_000,
  input: z.object({
    token: SessionToken,
    name: MetadataOf,
    entries: z.array(MetadataName).min(1).max(MAX_METADATA_ENTRIES),
    /** How many levels below each. */
    depth: z.enum(['0', '1', 'infinity']).default('0'),
  }),
  row: z.object({ entry: MetadataEntry }),
})

export const setMetadata = defineRequest({
  ...front,
  name: 'mailstore.setMetadata',
  refusals: ['tokenInvalid', 'noSuchMailbox', 'limit'],
  purpose: 'Set annotations, all or none; null removes one. `limit`: there would be too many — RFC 5464.',
  input: z.object({
    token: SessionToken,
    name: MetadataOf,
    /** Values in base64. */
    entries: z
      .array(
        z.object({
          entry: MetadataEntry,
          value: z
            .base64()
            .max(4 * Math.ceil(MAX_METADATA_BYTES / 3))
            .nullable(),
        }),
      )
      .min(1)
      .max(MAX_METADATA_ENTRIES),
  }),
  output: z.object({}),
})

/** A message that was expunged, or went with its mailbox, and whose content is still kept. */
export const ExpungedMessage = z.object({
  /** Names it in mailstore.restore; never reused. */
  id: z.int().positive(),
  /** The mailbox's name when the message went. */
  mailbox: MailboxName,
  uid: Uid,
  expungedAt: Timestamp,
  /** From then on it may be gone for good. */
  keptUntil: Timestamp,
  internalDate: Timestamp,
  size: z.int().nonnegative(),
  flags: z.array(Flag),
  /** As written, one character per octet, cut after 200; absent fields are ''. */
  from: z.string(),
  subject: z.string(),
})
export type ExpungedMessage = z.infer<typeof ExpungedMessage>

export const listExpunged = defineRows({
  ...operators,
  name: 'mailstore.expunged',
  refusals: ['tokenInvalid'],
  purpose: 'Messages that can be restored, in the order in which they went.',
  input: z.object({
    token: SessionToken,
    mailbox: MailboxName.optional(),
    /** Gone at this time or later. */
    since: Timestamp.optional(),
  }),
  row: ExpungedMessage,
})

export const MAX_RESTORED = 500

export const restoreExpunged = defineRequest({
  ...operators,
  name: 'mailstore.restore',
  refusals: ['tokenInvalid', 'invalid', 'limit', 'overQuota'],
  purpose:
    'Put expunged messages back, all or none: into the mailbox they were in, made again if it is gone, or into `to`. New UIDs; \\Deleted is left out. Those no longer kept are left out.',
  timeoutMs: 60_000,
  input: z.object({
    token: SessionToken,
    ids: z.array(z.int().positive()).min(1).max(MAX_RESTORED),
    to: MailboxName.optional(),
  }),
  output: z.object({ restored: z.int().nonnegative() }),
})

/**
 * What is wrong in an account. `counters`: of a mailbox or the account. `size`: of a message. `references`: how often a message's
 * bytes are shown. `structure`: offsets of parts. `keywords`: on messages that are not there. `bytes`: the message's bytes are gone or too short.
 */
export const Fault = z.object({
  kind: z.enum(['counters', 'size', 'references', 'structure', 'keywords', 'bytes']),
  /** Absent for the account as a whole. */
  mailbox: MailboxName.optional(),
  uid: Uid.optional(),
  detail: z.string().max(500),
  repaired: z.boolean(),
})
export type Fault = z.infer<typeof Fault>

export const checkAccount = defineRows({
  ...operators,
  name: 'mailstore.check',
  refusals: ['tokenInvalid'],
  purpose:
    'Look at all an account has: counters, references, sizes, structures, bytes. With `repair` what follows from the rest is set right; `bytes` cannot be. A `checked` row after each mailbox, and one for the account, last.',
  timeoutMs: 120_000,
  input: z.object({ token: SessionToken, repair: z.boolean() }),
  row: z.discriminatedUnion('kind', [
    z.object({ kind: z.literal('fault'), fault: Fault }),
    z.object({ kind: z.literal('checked'), mailbox: MailboxName.optional(), messages: z.int().nonnegative() }),
  ]),
})

/** For custody, before it publishes a lost task again: the delivery keys are the last word on what stands in a mailbox. */
export const findDeliveries = defineRequest({
  name: 'mailstore.deliveries',
  answerer: 'mailstore',
  askers: ['custody'],
  purpose: 'When each message was delivered to the account; null if it was not. In the order asked.',
  input: z.object({
    keys: z
      .array(z.object({ queueId: QueueId, account: AccountId }))
      .min(1)
      .max(500),
  }),
  output: z.object({ deliveredAt: z.array(Timestamp.nullable()) }),
})
