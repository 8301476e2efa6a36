/**
 * Messages by UID, a page at a time. Nothing is parsed: what FETCH asks for was computed when the message came, and
 * sections are cut out by their offsets.
 */
import type { Blobs } from '@postbus/blobs'
import { type FetchedPage, FlagColumns, MAX_FETCHED_IN_ROW } from '@postbus/contracts'
import type { Reader } from '@postbus/sql'

import { SEEN, systemFlagNames } from '../../../mailbox/flags.ts'
import { emailId } from '../../../mailbox/object-id.ts'
import { headerCutters, isDecoded, reachesBody } from '../../../mailbox/sections.ts'
import type { FetchPageOf } from '../../../mailbox/storage.ts'
import { above, rangesOf } from '../../../mailbox/uid-ranges.ts'
import { isOneOf } from '../dialect.ts'
import type { MailDatabase, ReadOperation } from '../operation.ts'
import { keywordsOf } from '../rows.ts'
import type { Tables } from '../schema.ts'
import { contentsOf, headersOf } from './contents.ts'
import { type Cut, cutFrom, cutHeld, isWhole, isWholeHeader, MAX_PAGE_BYTES, toKeep } from './cut-page.ts'
import { type Row, type RowsKind, rowsFrom } from './fetch-rows.ts'
import type { HeaderPages } from './header-pages.ts'

/** Rows of a first page: what is read beyond a full page is read again. Structures are short, an envelope has some 300 octets. */
const FIRST_WITH_ENVELOPE = 700
const FIRST_WITH_HEADER = 500
const FIRST_WITH_BODY = 100
/** Rows of a page at most where headers are read along with them. */
const MAX_ROWS_WITH_HEADER = 1000
const MIN_ROWS = 16
/** So much of a page is aimed at: the next messages are not as long as those before. */
const FILL = 0.9

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

function kindOfRows({ internalDate, saveDate, ...want }: Want, wantsHeaders: boolean): RowsKind {
  if (internalDate || saveDate) return 'whole'
  if (wantsHeaders) return 'headers'
  const { envelope, structure, basicStructure, preview, sections, size, emailId } = want
  return envelope || structure || basicStructure || preview || sections.length > 0 || size || emailId ? 'whole' : 'few'
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
