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

export const front = { answerer: 'mailstore', askers: ['imap', 'pop3'] } as const

/** What operators do in a mailbox as its owner could, with a token of directory.openAccount: list, export, import. */
export const frontOrOperator = { answerer: 'mailstore', askers: ['imap', 'pop3', 'operator', 'console'] } as const

/** What only operators do, with such a token. */
export const operators = { answerer: 'mailstore', askers: ['operator', 'console'] } as const

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

export const Modseq = z.int().nonnegative()
export const Uid = z.int().positive()

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

/** Flags of one message, and the MODSEQ at which they became so. */
export const FlagsRow = z.object({ uid: Uid, modseq: Modseq, flags: z.array(Flag) })
export type FlagsRow = z.infer<typeof FlagsRow>
