/**
 * What the IMAP and POP3 front ends ask the mailstore. Every request carries a session token for one account; a hole in
 * a front end is not a hole in every mailbox. `tokenInvalid`: forged, expired, or for somebody else; ask the directory for a new one.
 *
 * Sets of UIDs are written as IMAP writes them (`1:5,9`), never with `*`: the asker knows its mailbox.
 * Message bytes: a row carries them up to MAX_INLINE_BYTES, else names the blob and the range to read through libs/blobs.
 *
 * STANDARDS  RFC 9051 §2.3, §6; RFC 7162 (MODSEQ); RFC 6154 (special use); RFC 4315 (UIDPLUS); RFC 8474 (object identifiers)
 */
import { z } from 'zod'

import { defineRequest, defineRows } from './define.ts'
import { SessionToken } from './directory.ts'
import { AccountId, QueueId, Timestamp } from './envelope.ts'

const front = { answerer: 'mailstore', askers: ['imap', 'pop3'] } as const

/** What operators do in a mailbox as its owner could, with a token of directory.openAccount: list, export, import. */
const frontOrOperator = { answerer: 'mailstore', askers: ['imap', 'pop3', 'operator', 'console'] } as const

/** What only operators do, with such a token. */
const operators = { answerer: 'mailstore', askers: ['operator', 'console'] } as const

/** Above this a row names a blob instead of carrying the bytes. */
export const MAX_INLINE_BYTES = 64 * 1024

/** Front ends stage APPEND literals in libs/blobs under keys that begin so; only those are taken. What stays there is swept by age. */
export const STAGED_PREFIX = 'staged/'

/** Larger messages, and those of one APPEND beyond this together, are staged; smaller ones travel in the request (octets). */
export const MAX_APPEND_INLINE_BYTES = 60 * 1024

/** Ascending, without overlaps; '' is the empty set. */
export const UidSet = z.string().regex(/^([1-9][0-9]*(:[1-9][0-9]*)?(,[1-9][0-9]*(:[1-9][0-9]*)?)*)?$/)
export type UidSet = z.infer<typeof UidSet>

/** The mailbox's own number; never reused, and not its name, which may change. */
export const MailboxKey = z.int().positive()

/** Unicode, levels separated by `/`, INBOX spelt so. Modified UTF-7 ends in the front end. */
export const MailboxName = z.string().min(1).max(1000)

/** System flags as IMAP spells them (`\Seen`), keywords as first written. `\Recent` is not stored. */
export const Flag = z.string().min(1).max(200)

const Modseq = z.int().nonnegative()
const Uid = z.int().positive()

/** Names one mailbox, or one message wherever it lies, for ever — RFC 8474 §4. */
export const ObjectId = z.string().regex(/^[A-Za-z0-9_-]{1,255}$/)

export const MailboxInfo = z.object({
  mailbox: MailboxKey,
  mailboxId: ObjectId,
  name: MailboxName,
  uidValidity: z.int().positive(),
  uidNext: Uid,
  highestModseq: Modseq,
  messages: z.int().nonnegative(),
  unseen: z.int().nonnegative(),
  deleted: z.int().nonnegative(),
  /** Sum of RFC822.SIZE — RFC 8438. */
  size: z.int().nonnegative(),
  /** The same of those with \Deleted, only when asked for — RFC 9208 §4.1.4 (DELETED-STORAGE). */
  deletedSize: z.int().nonnegative().optional(),
  /** Messages no read-write session has been told of; IMAP4rev1's RECENT. */
  recent: z.int().nonnegative(),
  /** Keywords in use. */
  keywords: z.array(Flag),
  /** `\Sent` and so on — RFC 6154. */
  specialUse: z.array(z.string()),
  subscribed: z.boolean(),
})
export type MailboxInfo = z.infer<typeof MailboxInfo>

export const listMailboxes = defineRequest({
  ...frontOrOperator,
  name: 'mailstore.list',
  refusals: ['tokenInvalid'],
  purpose: 'Every mailbox of the account, and names subscribed to that have none. Counts are exact.',
  input: z.object({ token: SessionToken, deletedSize: z.boolean().default(false) }),
  output: z.object({ mailboxes: z.array(MailboxInfo), subscribedOnly: z.array(MailboxName) }),
})

export const mailboxStatus = defineRequest({
  ...front,
  name: 'mailstore.status',
  refusals: ['tokenInvalid', 'noSuchMailbox'],
  purpose: 'One mailbox by name.',
  input: z.object({ token: SessionToken, name: MailboxName, deletedSize: z.boolean().default(false) }),
  output: MailboxInfo,
})

export const createMailbox = defineRequest({
  ...frontOrOperator,
  name: 'mailstore.create',
  refusals: ['tokenInvalid', 'exists', 'invalid', 'limit'],
  purpose: 'Create a mailbox and the levels above it.',
  input: z.object({ token: SessionToken, name: MailboxName, specialUse: z.array(z.string()).default([]) }),
  output: MailboxInfo,
})

export const deleteMailbox = defineRequest({
  ...front,
  name: 'mailstore.delete',
  refusals: ['tokenInvalid', 'noSuchMailbox', 'invalid', 'hasChildren'],
  purpose:
    'Delete a mailbox with its messages, not those below it; INBOX cannot be. `hasChildren`: the name is only a level above others.',
  input: z.object({ token: SessionToken, name: MailboxName }),
  output: z.object({}),
})

export const renameMailbox = defineRequest({
  ...front,
  name: 'mailstore.rename',
  refusals: ['tokenInvalid', 'noSuchMailbox', 'exists', 'invalid', 'limit'],
  purpose: 'Rename a mailbox and all below it; renaming INBOX moves its messages — RFC 9051 §6.3.6.',
  input: z.object({ token: SessionToken, from: MailboxName, to: MailboxName }),
  output: z.object({}),
})

export const subscribeMailbox = defineRequest({
  ...frontOrOperator,
  name: 'mailstore.subscribe',
  refusals: ['tokenInvalid', 'invalid', 'limit'],
  purpose: 'Set or clear a subscription; the mailbox need not exist.',
  input: z.object({ token: SessionToken, name: MailboxName, subscribed: z.boolean() }),
  output: z.object({}),
})

/** Sent in pieces: a mailbox of a million messages with every second one expunged is a long set. */
export const openMailbox = defineRows({
  ...frontOrOperator,
  name: 'mailstore.open',
  refusals: ['tokenInvalid', 'noSuchMailbox'],
  purpose: 'SELECT and EXAMINE: the mailbox as of one moment, then its UIDs in pieces.',
  input: z.object({ token: SessionToken, name: MailboxName, readOnly: z.boolean() }),
  row: z.discriminatedUnion('kind', [
    z.object({
      kind: z.literal('mailbox'),
      info: MailboxInfo,
      /** UIDs from here on are \Recent for this session; a read-write open claims them. */
      recentFrom: Uid,
      firstUnseen: Uid.optional(),
    }),
    z.object({ kind: z.literal('uids'), uids: UidSet }),
  ]),
})

/** Flags of one message, and the MODSEQ at which they became so. */
export const FlagsRow = z.object({ uid: Uid, modseq: Modseq, flags: z.array(Flag) })
export type FlagsRow = z.infer<typeof FlagsRow>

export const syncMailbox = defineRows({
  ...front,
  name: 'mailstore.sync',
  refusals: ['tokenInvalid', 'noSuchMailbox'],
  purpose:
    'What happened in a mailbox after a MODSEQ: who vanished, whose flags changed, who came. The `now` row is last.',
  input: z.object({
    token: SessionToken,
    mailbox: MailboxKey,
    modseq: Modseq,
    /** Also claim arrivals as \Recent. */ claimRecent: z.boolean().default(false),
  }),
  row: z.discriminatedUnion('kind', [
    z.object({ kind: z.literal('vanished'), uids: UidSet }),
    z.object({ kind: z.literal('message'), ...FlagsRow.shape }),
    z.object({ kind: z.literal('now'), highestModseq: Modseq, uidNext: Uid, recentFrom: Uid }),
  ]),
})

/** One BODY[…] or BINARY[…] section. `part`: '' is the whole message, else '1.2'. */
export const Section = z.object({
  part: z.string().regex(/^([1-9][0-9]*(\.[1-9][0-9]*)*)?$/),
  kind: z.enum(['all', 'header', 'text', 'mime', 'fields', 'fieldsNot']),
  fields: z.array(z.string().max(998)).optional(),
  /** First octet and how many. */
  partial: z.tuple([z.int().nonnegative(), z.int().positive()]).optional(),
  /** BINARY[…]: the part without its transfer encoding, or how many octets that are. Goes with `all`. */
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
  refusals: ['tokenInvalid', 'noSuchMailbox', 'noSuchTarget', 'overQuota', 'limit'],
  purpose: 'Copy messages to another mailbox, all or none; with `move` they leave this one in the same step.',
  timeoutMs: 60_000,
  input: z.object({ token: SessionToken, mailbox: MailboxKey, uids: UidSet, to: MailboxName, move: z.boolean() }),
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
  output: z.object({ vanished: UidSet, highestModseq: Modseq }),
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

/** A search program as a tree; dates are calendar days, sizes octets. */
export type SearchKey =
  | { kind: 'all' }
  | { kind: 'and'; keys: SearchKey[] }
  | { kind: 'or'; keys: SearchKey[] }
  | { kind: 'not'; key: SearchKey }
  | { kind: 'flag'; flag: string }
  | { kind: 'uids'; uids: UidSet }
  | { kind: 'header'; field: string; value: string }
  | { kind: 'body'; value: string }
  | { kind: 'text'; value: string }
  | { kind: 'date'; of: 'internal' | 'sent' | 'saved'; is: 'before' | 'on' | 'since'; date: string }
  | { kind: 'size'; is: 'larger' | 'smaller'; octets: number }
  | { kind: 'modseq'; modseq: number }
  | { kind: 'within'; is: 'older' | 'younger'; seconds: number }
  | { kind: 'emailId'; id: string }

/** Deeper programs are refused. A client may write 50 levels; the rest is for what a front end puts around them. */
export const MAX_SEARCH_DEPTH = 60
const MAX_SEARCH_KEYS = 500

export const SearchKey: z.ZodType<SearchKey> = z.lazy(() =>
  z.discriminatedUnion('kind', [
    z.object({ kind: z.literal('all') }),
    z.object({ kind: z.literal('and'), keys: z.array(SearchKey).max(MAX_SEARCH_KEYS) }),
    z.object({ kind: z.literal('or'), keys: z.array(SearchKey).min(1).max(MAX_SEARCH_KEYS) }),
    z.object({ kind: z.literal('not'), key: SearchKey }),
    z.object({ kind: z.literal('flag'), flag: Flag }),
    z.object({ kind: z.literal('uids'), uids: UidSet }),
    z.object({ kind: z.literal('header'), field: z.string().max(998), value: z.string().max(4096) }),
    z.object({ kind: z.literal('body'), value: z.string().max(4096) }),
    z.object({ kind: z.literal('text'), value: z.string().max(4096) }),
    z.object({
      kind: z.literal('date'),
      of: z.enum(['internal', 'sent', 'saved']),
      is: z.enum(['before', 'on', 'since']),
      date: z.iso.date(),
    }),
    z.object({ kind: z.literal('size'), is: z.enum(['larger', 'smaller']), octets: z.int().nonnegative() }),
    z.object({ kind: z.literal('modseq'), modseq: Modseq }),
    z.object({ kind: z.literal('within'), is: z.enum(['older', 'younger']), seconds: z.int().positive() }),
    z.object({ kind: z.literal('emailId'), id: ObjectId }),
  ]),
)

export const searchMailbox = defineRows({
  ...front,
  name: 'mailstore.search',
  refusals: ['tokenInvalid', 'noSuchMailbox', 'tooComplex'],
  purpose: 'UIDs that match, in pieces, ascending; `highestModseq` of the matches when the program names a MODSEQ.',
  timeoutMs: 120_000,
  input: z.object({ token: SessionToken, mailbox: MailboxKey, key: SearchKey }),
  row: z.object({ uids: UidSet, highestModseq: Modseq.optional() }),
})

/** Strings are compared without regard to case (i;unicode-casemap), dates as instants — RFC 5256 §2.2, §3; RFC 5957. */
export const SortCriterion = z.object({
  by: z.enum(['arrival', 'cc', 'date', 'displayFrom', 'displayTo', 'from', 'size', 'subject', 'to']),
  reverse: z.boolean(),
})
export type SortCriterion = z.infer<typeof SortCriterion>

/** UIDs in one row of a sort. */
export const MAX_SORTED_IN_ROW = 5000

export const sortMailbox = defineRows({
  ...front,
  name: 'mailstore.sort',
  refusals: ['tokenInvalid', 'noSuchMailbox', 'tooComplex'],
  purpose:
    'UIDs that match, in pieces, by the criteria, then by UID; `highestModseq` of the matches when the program names a MODSEQ.',
  timeoutMs: 120_000,
  input: z.object({
    token: SessionToken,
    mailbox: MailboxKey,
    key: SearchKey,
    criteria: z.array(SortCriterion).min(1).max(9),
  }),
  row: z.object({ uids: z.array(Uid).max(MAX_SORTED_IN_ROW), highestModseq: Modseq.optional() }),
})

export const threadMailbox = defineRows({
  ...front,
  name: 'mailstore.thread',
  refusals: ['tokenInvalid', 'noSuchMailbox', 'tooComplex'],
  purpose:
    "Messages that match as threads, in pieces of IMAP's thread-list with UIDs (RFC 5256 §5); no piece cuts a number. `highestModseq` as in a sort.",
  timeoutMs: 120_000,
  input: z.object({
    token: SessionToken,
    mailbox: MailboxKey,
    key: SearchKey,
    algorithm: z.enum(['orderedSubject', 'references']),
  }),
  row: z.object({ threads: z.string(), highestModseq: Modseq.optional() }),
})

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
