/** Messages found, sorted and threaded — RFC 9051 §6.4.4, RFC 5256. */
import { z } from 'zod'

import { defineRows } from './define.ts'
import { SessionToken } from './directory.ts'
import { front, UidSet, MailboxKey, Flag, Modseq, Uid, ObjectId } from './mailstore-terms.ts'

/** A search program as a tree; dates are calendar days, sizes octets. */
export type SearchKey =
  | { kind: 'all' }
  | { kind: 'and'; keys: SearchKey[] }
  | { kind: 'or'; keys: SearchKey[] }
  | { kind: 'not'; key: SearchKey }
  | { kind: 'flag'; flag: string }
  | { kind: 'uids'; uids: UidSet }
  /** `envelope`: the field as the envelope has it, addresses in one spelling — RFC 9051 §6.4.4 (FROM). */
  | { kind: 'header'; field: string; value: string; envelope?: boolean | undefined }
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
    z.object({
      kind: z.literal('header'),
      field: z.string().max(998),
      value: z.string().max(4096),
      envelope: z.boolean().optional(),
    }),
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
    "Messages that match as threads, in pieces of IMAP's thread-list with UIDs (RFC 5256 §5); no piece cuts a number.",
  timeoutMs: 120_000,
  input: z.object({
    token: SessionToken,
    mailbox: MailboxKey,
    key: SearchKey,
    algorithm: z.enum(['orderedSubject', 'references']),
  }),
  row: z.object({ threads: z.string() }),
})
