/** Message rows of a set of UIDs, a bounded number at a time, and the keywords on them. */
import type { Reader } from '@postbus/sql'
import { type Selectable, type SelectQueryBuilder, sql } from 'kysely'

import { MAX_NUMBER } from '@postbus/imap-wire'

import type { UidRange } from '../../mailbox/uid-ranges.ts'
import { pairsOf } from './dialect.ts'
import type { Tables } from './schema.ts'

type Message = Selectable<Tables['messages']>

interface Page<Row> {
  /** Ascending by UID. */
  rows: Row[]
  /** The UID up to which the set was looked at; null when all of it was. */
  done: number | null
}

/** More ranges than this are looked up with a second statement. */
const MAX_RANGES = 1000

/** The next messages of a set: at most `limit`. */
export async function messagesIn<Column extends keyof Message>(
  db: Reader<Tables>,
  mailbox: number,
  uids: readonly UidRange[],
  limit: number,
  columns: readonly (Column | 'uid')[],
  where: (of: SelectQueryBuilder<Tables, 'messages', object>) => SelectQueryBuilder<Tables, 'messages', object> = (
    of,
  ) => of,
): Promise<Page<Pick<Message, Column | 'uid'>>> {
  type Row = Pick<Message, Column | 'uid'>
  const rows: Row[] = []
  for (const bundle of bundles(uids, limit)) {
    const [only] = bundle
    if (only === undefined) break
    const wanted = limit - rows.length
    const found = await where(bundle.length === 1 ? between(db, mailbox, only) : among(db, mailbox, bundle))
      .select(columns)
      .orderBy('messages.uid')
      .limit(wanted)
      .execute()
    for (const row of found) rows.push(row as unknown as Row) // `where` hides the selection from the types
    if (found.length === wanted) return { rows, done: rows.at(-1)?.uid ?? null }
  }
  return { rows, done: null }
}

/** The messages of a set, all of them. */
export function messagesOf(db: Reader<Tables>, mailbox: number, uids: readonly UidRange[]) {
  const [only, ...others] = uids
  return only !== undefined && others.length === 0 ? between(db, mailbox, only) : among(db, mailbox, uids)
}

const between = (db: Reader<Tables>, mailbox: number, [first, last]: UidRange) =>
  db.query
    .selectFrom('messages')
    .where('messages.mailbox', '=', mailbox)
    .where('messages.uid', '>=', first)
    .where('messages.uid', '<=', last)

/** One index range per range of the set. Its rows are sorted before they are cut, so a bundle must be small. */
const among = (db: Reader<Tables>, mailbox: number, bundle: readonly UidRange[]) =>
  db.query
    .selectFrom('messages')
    .where('messages.mailbox', '=', mailbox)
    .where(
      'messages.uid',
      'in',
      sql<number>`(select m.uid from ${pairsOf(db, ['low', 'high'], bundle)} r cross join messages m
        where m.mailbox = ${mailbox} and m.uid between r.low and r.high)`,
    )

/** Ranges that together span no more than `limit` UIDs travel in one statement; a wider one goes alone. */
function* bundles(uids: readonly UidRange[], limit: number): Generator<UidRange[]> {
  let bundle: UidRange[] = []
  let span = 0
  for (const range of uids) {
    const width = range[1] - range[0] + 1
    if (bundle.length > 0 && (span + width > limit || bundle.length === MAX_RANGES)) {
      yield bundle
      bundle = []
      span = 0
    }
    bundle.push(range)
    span += width
  }
  if (bundle.length > 0) yield bundle
}

/** Numbers of the keywords on these messages, and the names of all keywords of the mailbox. */
export async function keywordsOf(
  db: Reader<Tables>,
  mailbox: number,
  rows: readonly { uid: number }[],
): Promise<{ ids: Map<number, number[]>; names: Map<number, string> }> {
  const all = await db.query.selectFrom('keywords').select(['keyword', 'name']).where('mailbox', '=', mailbox).execute()
  const names = new Map(all.map(({ keyword, name }) => [keyword, name]))
  const ids = new Map<number, number[]>()
  const [first, last] = [rows[0]?.uid, rows.at(-1)?.uid]
  if (names.size === 0 || first === undefined || last === undefined) return { ids, names }
  const found = await db.query
    .selectFrom('message_keywords')
    .select(['uid', 'keyword'])
    .where('mailbox', '=', mailbox)
    .where('uid', '>=', first)
    .where('uid', '<=', last)
    .execute()
  for (const { uid, keyword } of found) {
    const numbers = ids.get(uid)
    if (numbers) numbers.push(keyword)
    else ids.set(uid, [keyword])
  }
  return { ids, names }
}

/** For sets that must be worked on as a whole. */
export const NO_LIMIT = Number.MAX_SAFE_INTEGER

export const ALL_UIDS: readonly UidRange[] = [[1, MAX_NUMBER]]
