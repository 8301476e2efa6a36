/**
 * Messages by UID, a page at a time. Nothing is parsed: what FETCH asks for was computed when the message came, and
 * sections are cut out by their offsets.
 */
import type { Blobs } from '@postbus/blobs'
import { type FetchedPage, FlagColumns, MAX_FETCHED_IN_ROW, type Section, SectionColumns } from '@postbus/contracts'
import type { Param, Reader } from '@postbus/sql'
import { type Selectable, sql } from 'kysely'

import { SEEN, systemFlagNames } from '../../../mailbox/flags.ts'
import { emailId } from '../../../mailbox/object-id.ts'
import {
  cutSections,
  headerCutters,
  type HeldContent,
  isDecoded,
  previewOf,
  reachesBody,
} from '../../../mailbox/sections.ts'
import type { FetchPageOf, MailboxOf } from '../../../mailbox/storage.ts'
import { above, rangesOf, type UidRange } from '../../../mailbox/uid-ranges.ts'
import { isOneOf, joinedOctets, jsonArrayOf } from '../dialect.ts'
import type { MailDatabase, ReadOperation } from '../operation.ts'
import { keywordsOf, messagesIn } from '../rows.ts'
import type { Tables } from '../schema.ts'
import { contentsOf, headersOf, LONG_HEADER } from './contents.ts'
import type { HeaderPage, HeaderPages } from './header-pages.ts'

/** Rows of a first page: what is read beyond a full page is read again. Structures are short, an envelope has some 300 octets. */
const FIRST_WITH_ENVELOPE = 700
const FIRST_WITH_HEADER = 500
const FIRST_WITH_BODY = 100
/** Rows of a page at most where headers are read along with them. */
const MAX_ROWS_WITH_HEADER = 1000
const MIN_ROWS = 16
/** So much of a page is aimed at: the next messages are not as long as those before. */
const FILL = 0.9
/**
 * A page ends when its texts or its bytes reach this: with what else it says it is a frame of the bus. What waits for a slow
 * reader is at most a page or two.
 */
const MAX_PAGE_BYTES = 224 * 1024

type Message = Selectable<Tables['messages']>
/** What a page always needs, and what only some do. */
type Row = Pick<Message, 'uid' | 'modseq' | 'flags'> &
  Partial<Pick<Message, 'internal_date' | 'save_date' | 'size' | 'email'>>
const fewColumns = ['uid', 'modseq', 'flags'] as const
const columns = [...fewColumns, 'internal_date', 'save_date', 'size', 'email'] as const

type Want = FetchPageOf['want']

export function fetch(db: MailDatabase, blobs: Blobs, keptHeaders: HeaderPages): ReadOperation<'fetch'> {
  const contents = contentsOf(db, blobs)
  const headers = headersOf(db, blobs)
  const rowsOf = rowsFrom(db)
  return async (reader, { uids, want, changedSince, limit = firstLimit(want), ...of }) => {
    const wantsTexts = want.envelope || want.structure || want.basicStructure
    const wantsContents = want.preview || want.sections.length > 0
    const wantsHeaders = wantsContents && !needsBody(want)
    const headersAsked = { mailbox: of.mailbox, from: uids[0]?.[0] ?? 0, sections: want.sections }
    const mayBeKept = wantsHeaders && keptHeaders.has(headersAsked)
    const cutters = wantsHeaders && !mayBeKept ? headerCutters(want.sections) : undefined
    const kind = kindOfRows(want, cutters !== undefined)
    const found = await rowsOf(reader, of, { uids, limit, changedSince, kind })
    if (found === null) return null
    const texts = wantsTexts ? await textsOf(reader, found.rows, want) : undefined
    const fitting = found.rows.slice(0, texts?.count)
    const cutHeaders = async (): Promise<Cut> => {
      const emails = fitting.map(({ email = 0 }) => email)
      const kept = mayBeKept ? keptHeaders.get(headersAsked, emails) : undefined
      if (kept) return { ...kept, previews: [], columns: { lengths: kept.lengths } }
      const cut =
        found.headers && cutters
          ? cutHeld(found.headers, fitting.length, want, cutters)
          : await cutFrom(headers(reader, fitting.map(emailRowOf)), want)
      // Whole headers are as quickly read again, and would crowd out the fields.
      if (isWhole(cut) && !want.sections.some(isWholeHeader)) keptHeaders.keep(headersAsked, emails, toKeep(cut))
      return cut
    }
    const structures = needsStructure(want)
    const cutContents = () => cutFrom(contents(reader, fitting.map(emailRowOf), { structures }), want)
    const cut = wantsContents ? await (wantsHeaders ? cutHeaders() : cutContents()) : undefined
    const rows = fitting.slice(0, cut?.count)
    const done = rows.length < found.rows.length ? (rows.at(-1)?.uid ?? null) : found.done
    return {
      page: {
        uids: rows.map(({ uid }) => uid),
        modseqs: rows.map(({ modseq }) => modseq),
        ...(want.flags && (await flagsOf(reader, of.mailbox, rows))),
        ...(want.internalDate && { internalDates: rows.map((row) => row.internal_date ?? 0) }),
        ...(want.saveDate && { saveDates: rows.map((row) => row.save_date ?? 0) }),
        ...(want.size && { sizes: rows.map(({ size = 0 }) => size) }),
        ...(want.envelope && { envelopes: texts?.envelopes.slice(0, rows.length) }),
        ...(want.structure && { structures: texts?.structures.slice(0, rows.length) }),
        ...(want.basicStructure && { basicStructures: texts?.basicStructures.slice(0, rows.length) }),
        ...(want.emailId && { emailIds: rows.map(({ email = 0 }) => emailId(email)) }),
        ...(want.preview && { previews: cut?.previews }),
        ...(want.sections.length > 0 && cut?.columns),
      },
      octets: cut?.octets ?? null,
      unseen: rangesOf(rows.filter(({ flags }) => (flags & SEEN) === 0).map(({ uid }) => uid)),
      rest: done === null ? [] : above(uids, done),
      nextLimit: nextLimit(limit, {
        rows: rows.length,
        octets: (texts?.octets ?? 0) + (cut?.octets.length ?? 0),
        max: wantsHeaders ? MAX_ROWS_WITH_HEADER : MAX_FETCHED_IN_ROW,
      }),
    }
  }
}

const emailRowOf = ({ email = 0, size = 0 }: Row) => ({ email, size })

/** Few columns; those and the headers, where they can be read as one; all there are. */
type RowsKind = 'few' | 'headers' | 'whole'

function kindOfRows({ internalDate, saveDate, ...want }: Want, wantsHeaders: boolean): RowsKind {
  if (internalDate || saveDate) return 'whole'
  if (wantsHeaders) return 'headers'
  const { envelope, structure, basicStructure, preview, sections, size, emailId } = want
  return envelope || structure || basicStructure || preview || sections.length > 0 || size || emailId ? 'whole' : 'few'
}

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
function rowsFrom(db: MailDatabase) {
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

/** Headers one after the other, with where each ends. */
interface HeldHeaders {
  octets: Uint8Array
  ends: number[]
}

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

async function flagsOf(
  reader: Reader<Tables>,
  mailbox: number,
  rows: readonly Row[],
): Promise<Pick<FetchedPage, 'flagSets' | 'flags'>> {
  const { ids, names } = await keywordsOf(reader, mailbox, rows)
  const flags = new FlagColumns()
  const systemOnly = new Map<number, string[]>()
  const bare = (bits: number): string[] => systemOnly.getOrInsertComputed(bits, systemFlagNames)
  for (const row of rows) {
    const keywords = (ids.get(row.uid) ?? []).flatMap((number) => names.get(number) ?? [])
    flags.add(keywords.length === 0 ? bare(row.flags) : [...systemFlagNames(row.flags), ...keywords])
  }
  return flags.columns()
}

/** Of as many of the rows as make a page. */
async function textsOf(reader: Reader<Tables>, rows: readonly Row[], want: Want) {
  const emails = rows.map(({ email = 0 }) => email)
  const found = await reader.query
    .selectFrom('emails')
    .innerJoin('contents', 'contents.id', 'emails.content')
    .where(isOneOf(reader, 'emails.id', emails))
    .select('emails.id')
    .$if(want.envelope, (select) => select.select('contents.envelope'))
    .$if(want.structure, (select) => select.select('contents.wire_structure'))
    .$if(want.basicStructure, (select) => select.select('contents.wire_body'))
    .execute()
  const byEmail = new Map(found.map((row) => [row.id, row]))
  const envelopes: string[] = []
  const structures: string[] = []
  const basicStructures: string[] = []
  let count = 0
  let octets = 0
  for (; count < rows.length && octets < MAX_PAGE_BYTES; count++) {
    const { envelope = '', wire_structure = '', wire_body = '' } = byEmail.get(rows[count]?.email ?? 0) ?? {}
    envelopes.push(envelope)
    structures.push(wire_structure)
    basicStructures.push(wire_body)
    octets += envelope.length + wire_structure.length + wire_body.length
  }
  return { count, octets, envelopes, structures, basicStructures }
}

function firstLimit(want: Want): number {
  if (needsBody(want)) return FIRST_WITH_BODY
  if (want.sections.length > 0) return FIRST_WITH_HEADER
  return want.envelope ? FIRST_WITH_ENVELOPE : MAX_FETCHED_IN_ROW
}

/** As many rows as fill the next page, if it is like this one; growing step by step. */
function nextLimit(limit: number, { rows, octets, max }: { rows: number; octets: number; max: number }): number {
  const filling = octets === 0 ? Infinity : Math.floor((FILL * MAX_PAGE_BYTES * rows) / octets)
  return Math.max(MIN_ROWS, Math.min(filling, 2 * limit, max))
}

const needsStructure = ({ preview, sections }: Want): boolean =>
  preview || sections.some((section) => section.part !== '' || isDecoded(section))

const needsBody = ({ preview, sections }: Want): boolean => preview || sections.some(reachesBody)

/** What was cut out of messages: of as many of them as make a page. */
interface Cut {
  count: number
  previews: string[]
  columns: ReturnType<SectionColumns['columns']>
  octets: Uint8Array
}

async function cutFrom(contents: AsyncIterable<HeldContent | null>, want: Want): Promise<Cut> {
  const previews: string[] = []
  const sections = new SectionColumns()
  let count = 0
  for await (const content of contents) {
    count++
    if (want.preview) previews.push(content === null ? '' : await previewOf(content))
    const cut = content === null ? absent(want) : await cutSections(content, want.sections)
    sections.add(cut.sections, cut.bytes)
    if (sections.octetsHeld >= MAX_PAGE_BYTES) break
  }
  return { count, previews, columns: sections.columns(), octets: sections.octets() }
}

/** The same at once, out of as many of the headers as there are rows. */
function cutHeld(
  { octets, ends }: HeldHeaders,
  rows: number,
  { sections }: Want,
  cutters: readonly ((header: string) => string)[],
): Cut {
  const held = { octets, ends: ends.slice(0, rows) }
  const [section, ...others] = sections
  const isOne = section !== undefined && others.length === 0 && isWholeHeader(section)
  return isOne ? wholeHeaders(held) : cutFields(held, cutters)
}

const isWholeHeader = ({ kind }: Section): boolean => kind === 'header'

function wholeHeaders({ octets, ends }: HeldHeaders): Cut {
  const last = ends.findIndex((end) => end >= MAX_PAGE_BYTES)
  const count = last < 0 ? ends.length : last + 1
  const lengths = ends.slice(0, count).map((end, at) => end - (ends[at - 1] ?? 0))
  return { count, previews: [], columns: { lengths }, octets: new Uint8Array(octets.subarray(0, ends[count - 1] ?? 0)) }
}

/** Headers turned into text at a time: strings as short as these come and go in memory that is used again and again. */
const HEADERS_AT_A_TIME = 32

function cutFields({ octets, ends }: HeldHeaders, cutters: readonly ((header: string) => string)[]): Cut {
  const headers = Buffer.from(octets.buffer, octets.byteOffset, octets.length)
  const lengths: number[] = []
  let pieces: string[] = []
  let length = 0
  let count = 0
  while (count < ends.length && length < MAX_PAGE_BYTES) {
    const start = ends[count - 1] ?? 0
    const some = ends.slice(count, count + HEADERS_AT_A_TIME)
    const text = headers.toString('latin1', start, some.at(-1))
    let from = 0
    let fields = ''
    for (const end of some) {
      const header = text.slice(from, end - start)
      for (const cut of cutters) {
        const section = cut(header)
        lengths.push(section.length)
        fields += section
      }
      from = end - start
      count++
      if (length + fields.length >= MAX_PAGE_BYTES) break
    }
    pieces.push(fields)
    length += fields.length
  }
  const cut = new Uint8Array(new SharedArrayBuffer(length))
  const fields = Buffer.from(cut.buffer)
  pieces.reduce((at, piece) => at + fields.write(piece, at, 'latin1'), 0)
  release(octets)
  return { count, previews: [], columns: { lengths }, octets: cut }
}

/** Memory of a page's headers is good for the next page's, and need not wait for a collection of garbage. */
function release({ buffer, length }: Uint8Array): void {
  if (buffer instanceof ArrayBuffer && buffer.byteLength === length) buffer.transfer(0)
}

const absent = ({ sections }: Want) => ({ sections: sections.map(() => ({ kind: 'absent' as const })), bytes: [] })

/** Whether all that was asked for is in its octets. */
const isWhole = ({ columns }: Cut): boolean => columns.sections === undefined

const toKeep = ({ count, columns: { lengths = [] }, octets }: Cut): HeaderPage => ({
  count,
  lengths,
  octets: sharedOf(octets),
})

function sharedOf(octets: Uint8Array): Uint8Array<SharedArrayBuffer> {
  const { buffer, byteOffset, length } = octets
  if (buffer instanceof SharedArrayBuffer) return new Uint8Array(buffer, byteOffset, length)
  const shared = new Uint8Array(new SharedArrayBuffer(length))
  shared.set(octets)
  return shared
}
