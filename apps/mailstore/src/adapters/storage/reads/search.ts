/**
 * A search, in steps of bounded work. SQL decides what it can; the text index rules out what it can; what is left is looked at
 * one by one, and a step that has taken its time hands over to the next, so that other readers of this thread wait for milliseconds.
 */
import type { Blobs } from '@postbus/blobs'
import type { Reader } from '@postbus/sql'
import type { Selectable } from 'kysely'

import { foldKeyword } from '../../../mailbox/flags.ts'
import { type Candidate, isRuledOut, matcher, mentions, scopeOf } from '../../../mailbox/search-program.ts'
import { type MessageText, messageText, prefixContains, textKeysOf, textPartsOf } from '../../../mailbox/search-text.ts'
import { above, rangesOf } from '../../../mailbox/uid-ranges.ts'
import { isOneOf } from '../dialect.ts'
import type { MailDatabase, ReadOperation } from '../operation.ts'
import { ALL_UIDS, keywordsOf, messagesIn } from '../rows.ts'
import type { Tables } from '../schema.ts'
import { sqlPart } from '../search-sql.ts'
import { together } from '../together.ts'
import { findMailbox } from '../tables.ts'
import type { TextPart } from '../text-index/parts.ts'
import type { MayMatch, TextIndex } from '../text-index/text-index.ts'
import { heldContents } from './contents.ts'

/** Rows of one step when SQL decides alone. */
const MAX_ROWS = 10_000
/** And when each is looked at. */
const MAX_CANDIDATES = 500
/** And when the index tells which of them have to be. */
const MAX_INDEXED = 5000
const STEP_MS = 40
/** Messages looked at together: what they need of a server comes on one way there and back. */
const TOGETHER = 16

type Row = Selectable<Tables['messages']>
const columns = ['uid', 'modseq', 'flags', 'internal_date', 'save_date', 'size', 'email'] as const
type Found = Pick<Row, (typeof columns)[number]>

export function search(db: MailDatabase, blobs: Blobs, index: TextIndex): ReadOperation<'search'> {
  const contentOf = heldContents(db, blobs)
  return async (reader, { key, after, now, ...mailbox }) => {
    if ((await findMailbox(reader, mailbox)) === undefined) return null
    const { condition, exact } = sqlPart(key, now)
    const scope = scopeOf(key)
    const uids = above(scope === null ? ALL_UIDS : [...scope.ranges()], after)
    const textParts = textPartsOf(key)
    const limit = exact ? MAX_ROWS : textParts.length > 0 ? MAX_INDEXED : MAX_CANDIDATES
    const { rows, done } = await messagesIn(reader, mailbox.mailbox, uids, limit, columns, (of) =>
      condition === null ? of : of.where(condition),
    )
    const wantsModseq = mentions(key, 'modseq')
    const page = (found: readonly Pick<Row, 'uid' | 'modseq'>[], next: number | null) => ({
      uids: rangesOf(found.map(({ uid }) => uid)),
      highestModseq: wantsModseq ? found.reduce((highest, { modseq }) => Math.max(highest, modseq), 0) : 0,
      next,
    })
    if (exact) return page(rows, done)

    const matches = matcher(key, now)
    const textKeys = textKeysOf(key)
    const fronts = await frontsOf(reader, rows, { prefixes: mentions(key, 'text') })
    const mayMatch = await index.candidates(reader, textParts, contentsOf(fronts))
    // Of thousands the index leaves a few: only those are worth a look.
    const left = rows.filter(({ email }) => !isRuledOut(key, (part) => !mayHold(fronts.get(email), mayMatch, part)))
    const textOf = async ({ email }: Pick<Row, 'email'>): Promise<MessageText | null> => {
      const content = await contentOf(reader, email)
      return content === null ? null : messageText(content, textKeys)
    }
    const { ids, names } = await keywordsOf(reader, mailbox.mailbox, left)
    const sentDays = mentions(key, 'date') ? await sentDaysOf(reader, mailbox.mailbox, left) : NO_DAYS
    const found: typeof rows = []
    const verdictOn = async (row: Found): Promise<boolean> => {
      const keywords = (ids.get(row.uid) ?? []).map((number) => foldKeyword(names.get(number) ?? ''))
      const known = { keywords: new Set(keywords), sentDay: sentDays.get(row.uid) ?? null }
      const text = indexed(fronts.get(row.email), mayMatch, () => textOf(row))
      return matches(candidate(row, known, text))
    }
    const deadline = performance.now() + STEP_MS
    for (let from = 0; from < left.length; from += TOGETHER) {
      const some = left.slice(from, from + TOGETHER)
      const verdicts = await together(some.map(verdictOn))
      found.push(...some.filter((_, index) => verdicts[index]))
      const last = some.at(-1)
      if (performance.now() > deadline && last !== undefined && last !== left.at(-1)) return page(found, last.uid)
    }
    return page(found, done)
  }
}

const NO_DAYS: ReadonlyMap<number, string> = new Map()

function candidate(row: Found, known: Pick<Candidate, 'keywords' | 'sentDay'>, text: MessageText): Candidate {
  return {
    ...known,
    ...text,
    uid: row.uid,
    modseq: row.modseq,
    flags: row.flags,
    internalDate: row.internal_date,
    saveDate: row.save_date,
    size: row.size,
    email: row.email,
  }
}

/** Of an email: its content, and what stands in front of it. */
interface Front {
  content: number
  /** Nothing where nobody looks for text in it. */
  prefix: Uint8Array
}

/** What the index and the prefix say of one message. */
function mayHold(front: Front | undefined, mayMatch: MayMatch, part: TextPart): boolean {
  if (front === undefined) return false
  return mayMatch(part, front.content) || (part.kind === 'text' && prefixContains(front.prefix, part.value))
}

/** The text of a message, opened only if the index does not rule out what is asked for. */
function indexed(front: Front | undefined, mayMatch: MayMatch, open: () => Promise<MessageText | null>): MessageText {
  let opened: Promise<MessageText | null> | undefined
  const text = () => (opened ??= open())
  const may = (part: TextPart): boolean => front !== undefined && mayMatch(part, front.content)
  return {
    header: async (key) => may({ kind: 'header', ...key }) && ((await text())?.header(key) ?? false),
    body: async (value) => may({ kind: 'body', value }) && ((await text())?.body(value) ?? false),
    text: async (value) => {
      if (front !== undefined && prefixContains(front.prefix, value)) return true
      return may({ kind: 'text', value }) && ((await text())?.text(value) ?? false)
    },
  }
}

const NO_PREFIX = new Uint8Array()

async function frontsOf(
  reader: Reader<Tables>,
  rows: readonly Pick<Row, 'email'>[],
  { prefixes }: { prefixes: boolean },
): Promise<ReadonlyMap<number, Front>> {
  const emails = rows.map(({ email }) => email)
  const found = await reader.query
    .selectFrom('emails')
    .select(['id', 'content'])
    .$if(prefixes, (query) => query.select('prefix'))
    .where(isOneOf(reader, 'id', emails))
    .execute()
  return new Map(found.map(({ id, content, prefix = NO_PREFIX }) => [id, { content, prefix }]))
}

const contentsOf = (fronts: ReadonlyMap<number, Front>): number[] => [
  ...new Set(fronts.values().map(({ content }) => content)),
]

async function sentDaysOf(
  { query }: Reader<Tables>,
  mailbox: number,
  rows: readonly { uid: number }[],
): Promise<ReadonlyMap<number, string>> {
  const found = await query
    .selectFrom('messages')
    .innerJoin('emails', 'emails.id', 'messages.email')
    .innerJoin('contents', 'contents.id', 'emails.content')
    .select(['messages.uid', 'contents.sent_day'])
    .where('messages.mailbox', '=', mailbox)
    .where('messages.uid', '>=', rows[0]?.uid ?? 0)
    .where('messages.uid', '<=', rows.at(-1)?.uid ?? 0)
    .where('contents.sent_day', 'is not', null)
    .execute()
  return new Map(found.map(({ uid, sent_day: day }) => [uid, day ?? '']))
}
