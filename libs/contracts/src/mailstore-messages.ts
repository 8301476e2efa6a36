/** Messages of a mailbox: fetched, flagged, copied, removed, appended — RFC 9051 §6.4, RFC 4315 (UIDPLUS). */
import { z } from 'zod'

import { defineRequest, defineRows } from './define.ts'
import { SessionToken } from './directory.ts'
import { Timestamp } from './envelope.ts'
import {
  front,
  frontOrOperator,
  STAGED_PREFIX,
  MAX_APPEND_INLINE_BYTES,
  UidSet,
  MailboxKey,
  MailboxName,
  Flag,
  Modseq,
  Uid,
  ObjectId,
  FlagsRow,
} from './mailstore-terms.ts'

/** One BODY[…] or BINARY[…] section. `part`: '' is the whole message, else '1.2'. */
export const Section = z.object({
  part: z.string().regex(/^([1-9][0-9]*(\.[1-9][0-9]*)*)?$/),
  kind: z.enum(['all', 'header', 'text', 'mime', 'fields', 'fieldsNot']),
  fields: z.array(z.string().max(998)).optional(),
  /** First octet and how many. */
  partial: z.tuple([z.int().nonnegative(), z.int().positive()]).optional(),
  /** BINARY[…]: without its transfer encoding, or how many octets that are. */
  binary: z.enum(['octets', 'size']).optional(),
})
export type Section = z.infer<typeof Section>

/**
 * Bytes of a section: inline (the next of the row's octets, in order), in a blob, or absent (NIL). With `lead`, the next of the
 * row's octets come before the blob's bytes: fields added at delivery are no part of the blob.
 */
export const SectionBytes = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('inline') }),
  z.object({
    kind: z.literal('blob'),
    blob: z.string().max(200),
    offset: z.int().nonnegative(),
    length: z.int().nonnegative(),
    lead: z.literal(true).optional(),
    /** The blob's bytes are to be freed from this encoding; of what comes out, `count` octets from `first` on are the section. */
    decode: z
      .object({
        encoding: z.enum(['base64', 'quoted-printable']),
        first: z.int().nonnegative(),
        count: z.int().nonnegative(),
      })
      .optional(),
  }),
  z.object({ kind: z.literal('absent') }),
  /** Of a section with `binary: 'size'`. */
  z.object({ kind: z.literal('size'), octets: z.int().nonnegative() }),
  /** The part's transfer encoding is none that is known — RFC 3516 §4.2. */
  z.object({ kind: z.literal('unknownEncoding') }),
  /** Of a section with `binary`: its octets are not what that encoding makes. */
  z.object({ kind: z.literal('damagedEncoding') }),
])
export type SectionBytes = z.infer<typeof SectionBytes>

/** Messages in one row of a fetch. */
export const MAX_FETCHED_IN_ROW = 2000

/** A column of whole numbers, looked over in one go: schemas of single numbers would be most of a page's cost. */
const wholeNumbers = (minimum: number, most = Infinity) =>
  z
    .custom<number[]>(
      (column) => Array.isArray(column) && column.length <= most && column.every((value) => isWhole(value, minimum)),
    )
    .meta({ type: 'array', items: { type: 'integer', minimum } })

const isWhole = (value: unknown, minimum: number): boolean =>
  typeof value === 'number' && Number.isSafeInteger(value) && value >= minimum

/**
 * Messages as columns: of whatever was asked for one entry per message, in the order of `uids`. So thousands of messages are
 * read and checked as a few arrays; `fetchedMessages` makes messages of them. A row has one byte string, or none: the octets
 * of all its sections, message by message.
 */
export const FetchedPage = z.object({
  uids: wholeNumbers(1, MAX_FETCHED_IN_ROW),
  modseqs: wholeNumbers(0),
  /** Sets of flags that messages of this page have. */
  flagSets: z.array(z.array(Flag)).optional(),
  /** Which of them each has; null where flags were not asked for and markSeen did not change them. */
  flags: z
    .custom<(number | null)[]>(
      (column) => Array.isArray(column) && column.every((value) => value === null || isWhole(value, 0)),
    )
    .meta({ type: 'array', items: { type: ['integer', 'null'], minimum: 0 } })
    .optional(),
  /** Milliseconds since 1970, UTC; `saveDates` too. */
  internalDates: wholeNumbers(Number.MIN_SAFE_INTEGER).optional(),
  saveDates: wholeNumbers(Number.MIN_SAFE_INTEGER).optional(),
  sizes: wholeNumbers(0).optional(),
  /** IMAP wire forms, made when the message came — RFC 9051 §7.5.2. One character per octet. */
  envelopes: z.array(z.string()).optional(),
  structures: z.array(z.string()).optional(),
  basicStructures: z.array(z.string()).optional(),
  /** The same for every copy of a message in the account. */
  emailIds: z.array(ObjectId).optional(),
  previews: z.array(z.string().max(1024)).optional(),
  /** Of each message, in the order asked. Left out when every one of the page is inline. */
  sections: z.array(z.array(SectionBytes)).optional(),
  /** How many of the row's octets belong to each section that is inline and each lead, in order. */
  lengths: wholeNumbers(0).optional(),
})
export type FetchedPage = z.infer<typeof FetchedPage>

export const fetchMessages = defineRows({
  ...frontOrOperator,
  name: 'mailstore.fetch',
  refusals: ['tokenInvalid', 'noSuchMailbox'],
  purpose: 'Messages by UID, ascending, in pages; those gone meanwhile are left out.',
  timeoutMs: 60_000,
  input: z.object({
    token: SessionToken,
    mailbox: MailboxKey,
    uids: UidSet,
    want: z.object({
      flags: z.boolean().default(false),
      internalDate: z.boolean().default(false),
      size: z.boolean().default(false),
      envelope: z.boolean().default(false),
      /** BODYSTRUCTURE. */
      structure: z.boolean().default(false),
      /** BODY: the same without extension data. */
      basicStructure: z.boolean().default(false),
      saveDate: z.boolean().default(false),
      emailId: z.boolean().default(false),
      /** The first words of the text — RFC 8970. */
      preview: z.boolean().default(false),
      sections: z.array(Section).max(100).default([]),
    }),
    /** Set \Seen where it is not yet, before the row is read. */
    markSeen: z.boolean().default(false),
    /** Only messages changed after this MODSEQ — CHANGEDSINCE. */
    changedSince: Modseq.optional(),
  }),
  row: FetchedPage,
})

export const storeFlags = defineRows({
  ...front,
  name: 'mailstore.store',
  refusals: ['tokenInvalid', 'noSuchMailbox', 'limit'],
  purpose: 'Change flags; one row per message whose flags were set or were to be.',
  timeoutMs: 60_000,
  input: z.object({
    token: SessionToken,
    mailbox: MailboxKey,
    uids: UidSet,
    mode: z.enum(['add', 'remove', 'replace']),
    flags: z.array(Flag).max(100),
    /** Messages with a higher MODSEQ are left alone and named in a `conflict` row — RFC 7162 §3.1.3. */
    unchangedSince: Modseq.optional(),
  }),
  row: z.discriminatedUnion('kind', [
    z.object({
      kind: z.literal('stored'),
      ...FlagsRow.shape,
      /** The MODSEQ before; the same as `modseq` when nothing changed. Shows a session whether somebody else was there first. */
      previousModseq: Modseq.optional(),
    }),
    z.object({ kind: z.literal('conflict'), uids: UidSet }),
  ]),
})

const Copied = z.object({
  uidValidity: z.int().positive(),
  from: UidSet,
  /** As many as `from`, in the same order. */
  to: UidSet,
})

export const copyMessages = defineRequest({
  ...front,
  name: 'mailstore.copy',
  refusals: ['tokenInvalid', 'noSuchMailbox', 'noSuchMessage', 'noSuchTarget', 'overQuota', 'limit'],
  purpose:
    'Copy messages to another mailbox, all or none; with `move` they leave this one in the same step. `noSuchMessage`: fewer than `atLeast` are still there; `limit` also: too scattered to be named in one answer.',
  timeoutMs: 60_000,
  input: z.object({
    token: SessionToken,
    mailbox: MailboxKey,
    uids: UidSet,
    to: MailboxName,
    move: z.boolean(),
    atLeast: z.int().nonnegative().default(0),
  }),
  output: Copied,
})

export const expungeMessages = defineRequest({
  ...front,
  name: 'mailstore.expunge',
  refusals: ['tokenInvalid', 'noSuchMailbox'],
  purpose:
    'Remove messages: those with \\Deleted, of `uids` only when given. `any` removes them with or without the flag (POP3).',
  timeoutMs: 60_000,
  input: z.object({
    token: SessionToken,
    mailbox: MailboxKey,
    uids: UidSet.optional(),
    any: z.boolean().default(false),
  }),
  output: z.object({
    vanished: UidSet,
    /** Not all of them fit into the answer: a sync names the others. */ more: z.boolean().default(false),
    highestModseq: Modseq,
  }),
})

export const appendMessages = defineRequest({
  ...frontOrOperator,
  name: 'mailstore.append',
  refusals: ['tokenInvalid', 'noSuchMailbox', 'noSuchMessage', 'overQuota', 'noSuchBlob', 'tooLarge', 'limit'],
  purpose:
    'Append messages whose bytes come along or were staged in libs/blobs by the front end; all or none. With `replaces` another message goes in the same step — RFC 8508.',
  timeoutMs: 60_000,
  input: z.object({
    token: SessionToken,
    name: MailboxName,
    messages: z
      .array(
        z.object({
          /** A staged blob; mailstore copies or adopts it and takes the staged one away. Without one, `octets` is the message. */
          blob: z.string().startsWith(STAGED_PREFIX).max(200).optional(),
          /** In base64. */
          octets: z
            .string()
            .max((4 / 3) * MAX_APPEND_INLINE_BYTES)
            .optional(),
          size: z.int().nonnegative(),
          flags: z.array(Flag).max(100),
          internalDate: Timestamp.optional(),
          /** It came as a literal8: binary parts in it are stored in base64 — RFC 3516 §4.4. */
          binary: z.boolean().default(false),
        }),
      )
      .min(1)
      .max(100),
    replaces: z.object({ mailbox: MailboxKey, uid: Uid }).optional(),
  }),
  output: z.object({ uidValidity: z.int().positive(), uids: UidSet }),
})
