/** Rows of messages by UID, as many as a page of FETCH has, along with their headers where those can be read as one. */
import type { Param, Reader } from '@postbus/sql'
import { type Selectable, sql } from 'kysely'

import type { MailboxOf } from '../../../mailbox/storage.ts'
import type { UidRange } from '../../../mailbox/uid-ranges.ts'
import { joinedOctets, jsonArrayOf } from '../dialect.ts'
import type { MailDatabase } from '../operation.ts'
import { messagesIn } from '../rows.ts'
import type { Tables } from '../schema.ts'
import { LONG_HEADER } from './contents.ts'
import type { HeldHeaders } from './cut-page.ts'

type Message = Selectable<Tables['messages']>
/** What a page always needs, and what only some do. */
export type Row = Pick<Message, 'uid' | 'modseq' | 'flags'> &
  Partial<Pick<Message, 'internal_date' | 'save_date' | 'size' | 'email'>>
const fewColumns = ['uid', 'modseq', 'flags'] as const
const columns = [...fewColumns, 'internal_date', 'save_date', 'size', 'email'] as const

/** Few columns; those and the headers, where they can be read as one; all there are. */
export type RowsKind = 'few' | 'headers' | 'whole'

interface RowsWanted {
  uids: readonly UidRange[]
  limit: number
  changedSince: number | null
  kind: RowsKind
}

interface FoundRows {
  rows: Row[]
  /** Of all of them. */
  headers?: HeldHeaders | undefined
  /** The UID up to which was looked; null: all of them. */
  done: number | null
}

/** The next rows of a set of UIDs; null where there is no such mailbox. What clients ask most, one range, is prepared. */
export function rowsFrom(db: MailDatabase) {
  const mailboxRow = db.prepare<MailboxOf, { id: number }>((query, param) =>
    query
      .selectFrom('mailboxes')
      .select('id')
      .where('id', '=', param('mailbox'))
      .where('account', '=', param('account'))
      .where('name', 'is not', null),
  )
  type InRange = { mailbox: number; first: number; last: number; limit: number }
  const between = (query: MailDatabase['query'], param: Param<InRange>) =>
    query
      .selectFrom('messages')
      .where('messages.mailbox', '=', param('mailbox'))
      .where('messages.uid', '>=', param('first'))
      .where('messages.uid', '<=', param('last'))
      .orderBy('messages.uid')
      .limit(param('limit'))
  const statements = {
    few: db.prepare<InRange, Row>((query, param) => between(query, param).select(fewColumns)),
    whole: db.prepare<InRange, Row>((query, param) => between(query, param).select(columns)),
    headers: db.prepare<InRange, ColumnsWithHeaders>((query, param) =>
      query
        .selectFrom(
          between(query, param)
            .innerJoin('emails', 'emails.id', 'messages.email')
            .innerJoin('contents', 'contents.id', 'emails.content')
            .select(headerColumns.map((column) => `messages.${column}` as const))
            .select([lengthOfHeader.as('length'), headerOctets.as('octets')])
            .as('page'),
        )
        .select([...headerColumns, 'length' as const].map((column) => jsonArrayOf(db, column).as(column)))
        .select(joinedOctets(db, 'octets').as('octets')),
    ),
  }
  return async (
    reader: Reader<Tables>,
    of: MailboxOf,
    { uids, limit, changedSince, kind }: RowsWanted,
  ): Promise<FoundRows | null> => {
    const { account, mailbox } = of
    if ((await reader.first(mailboxRow, { account, mailbox })) === undefined) return null
    const [range, ...others] = uids
    if (range === undefined || others.length > 0 || changedSince !== null)
      return messagesIn(reader, mailbox, uids, limit, columns, (messages) =>
        changedSince === null ? messages : messages.where('messages.modseq', '>', changedSince),
      )
    const [first, last] = range
    const inRange = { mailbox, first, last, limit }
    const withHeaders = kind === 'headers' ? rowsWithHeaders(await reader.first(statements.headers, inRange)) : null
    const rows = withHeaders?.rows ?? (await reader.all(statements[kind === 'few' ? 'few' : 'whole'], inRange))
    const done = rows.length === limit ? (rows.at(-1)?.uid ?? null) : null
    return { rows, headers: withHeaders?.headers, done }
  }
}

const headerColumns = ['uid', 'modseq', 'flags', 'size', 'email'] as const

/** A page whose headers are one octet string, and the rest of it arrays in JSON: a row for each message costs several times as much. */
type ColumnsWithHeaders = Record<(typeof headerColumns)[number] | 'length', string> & { octets: Uint8Array }

/** Long ones must not be held by the thousand; one that is not held as a whole is in its blob. */
const isHeaderAtHand = sql`contents.header_size <= ${sql.lit(LONG_HEADER)} and length(contents.header) >= contents.header_size`
const NOT_AT_HAND = -1
const lengthOfHeader = sql<number>`
  case when ${isHeaderAtHand} then length(emails.prefix) + length(contents.header) else ${sql.lit(NOT_AT_HAND)} end`
const headerOctets = sql<Uint8Array>`case when ${isHeaderAtHand} then emails.prefix || contents.header end`

/** Null where one of the headers is not at hand. */
function rowsWithHeaders(page: ColumnsWithHeaders | undefined): { rows: Row[]; headers: HeldHeaders } | null {
  if (page === undefined) return null
  const of = (column: keyof Omit<ColumnsWithHeaders, 'octets'>): number[] => JSON.parse(page[column])
  const lengths = of('length')
  if (lengths.includes(NOT_AT_HAND)) return null
  const [modseqs, flags, sizes, emails] = [of('modseq'), of('flags'), of('size'), of('email')]
  const rows = of('uid').map((uid, at) => ({
    uid,
    modseq: modseqs[at] ?? 0,
    flags: flags[at] ?? 0,
    size: sizes[at] ?? 0,
    email: emails[at] ?? 0,
  }))
  let end = 0
  return { rows, headers: { octets: page.octets, ends: lengths.map((length) => (end += length)) } }
}
