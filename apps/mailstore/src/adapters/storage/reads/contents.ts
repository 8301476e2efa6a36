/** The bytes of one email: fields put in front, header, and the rest from the database or its blob. */
import type { Blobs } from '@postbus/blobs'
import type { Reader } from '@postbus/sql'
import { type RawBuilder, sql } from 'kysely'

import type { HeldContent } from '../../../mailbox/sections.ts'
import { isIn, listOf } from '../dialect.ts'
import type { MailDatabase } from '../operation.ts'
import type { Tables } from '../schema.ts'

/** An email that was appended has no fields in front: then no empty bytes are made of them, thousands of times. */
const prefixOrNull = sql<Uint8Array | null>`case when length(emails.prefix) > 0 then emails.prefix end`.as('prefix')

/** A header is seldom longer. */
export const LONG_HEADER = 32 * 1024

const NO_PREFIX = new Uint8Array()

interface ContentRow {
  prefix: Uint8Array | null
  content: number
  size: number
  header_size: number
  structure: string
  header: Uint8Array
  blob: string | null
  blob_offset: number
}

/** Null when the email went away meanwhile. The body is read when it is asked for. */
export type ContentOf = (reader: Reader<Tables>, email: number) => Promise<HeldContent | null>

export function heldContents(db: MailDatabase, blobs: Blobs): ContentOf {
  const { open } = opener(db, blobs)
  const contentRow = db.prepare<{ email: number }, ContentRow>((query, param) =>
    query
      .selectFrom('emails')
      .innerJoin('contents', 'contents.id', 'emails.content')
      .select([prefixOrNull, 'emails.content', 'contents.size', 'contents.header_size', 'contents.structure'])
      .select(['contents.header', 'contents.blob', 'contents.blob_offset'])
      .where('emails.id', '=', param('email')),
  )
  return async (reader, email) => {
    const row = await reader.first(contentRow, { email })
    return row === undefined ? null : open(reader, row)
  }
}

/** Emails read with one statement, and octets of them: together they are held in memory. */
const TOGETHER = 32
const TOGETHER_BYTES = 128 * 1024
/** Of messages as long as these together, since nobody knows how much of them is header. */
const HEADERS_TOGETHER = 128
const HEADERS_TOGETHER_BYTES = 4 * 1024 * 1024

/** As much of an email as most need who look at nothing but its header. */
interface HeaderRow {
  email: number
  prefix: Uint8Array | null
  header_size: number
  header: Uint8Array
}

/**
 * The contents of these emails in their order, a few at a time; null where one went away meanwhile. Structures are empty where they are
 * not needed: only parts are found by them.
 */
export function contentsOf(db: MailDatabase, blobs: Blobs) {
  const { open } = opener(db, blobs)
  type Row = ContentRow & { email: number; body: Uint8Array | null }
  const rowsOf = (structure: RawBuilder<string>) =>
    db.prepare<{ emails: string }, Row>((query, param) =>
      query
        .selectFrom('emails')
        .innerJoin('contents', 'contents.id', 'emails.content')
        .leftJoin('bodies', 'bodies.content', 'contents.id')
        .select(['emails.id as email', prefixOrNull, 'emails.content', 'contents.size', 'contents.header_size'])
        .select(['contents.header', 'contents.blob', 'contents.blob_offset', structure.as('structure')])
        .select('bodies.bytes as body')
        .where(isIn(db, 'emails.id', param('emails'))),
    )
  const withStructures = rowsOf(sql.ref('contents.structure'))
  const without = rowsOf(sql.lit(''))
  return async function* (
    reader: Reader<Tables>,
    emails: readonly { email: number; size: number }[],
    { structures }: { structures: boolean },
  ): AsyncGenerator<HeldContent | null> {
    const whole = structures ? withStructures : without
    for (const some of bundles(emails, TOGETHER, TOGETHER_BYTES)) {
      const byEmail = new Map<number, Row>()
      for (const row of await reader.all(whole, { emails: listOf(db, some) })) byEmail.set(row.email, row)
      for (const email of some) {
        const row = byEmail.get(email)
        yield row === undefined ? null : open(reader, row, row.body ?? undefined)
      }
    }
  }
}

/** The same for whoever looks at nothing but the message's own header: structures are not read. */
export function headersOf(db: MailDatabase, blobs: Blobs) {
  const contentOf = heldContents(db, blobs)
  const headers = db.prepare<{ emails: string }, HeaderRow>((query, param) =>
    query
      .selectFrom('emails')
      .innerJoin('contents', 'contents.id', 'emails.content')
      .select(['emails.id as email', prefixOrNull, 'contents.header_size', 'contents.header'])
      .where(isIn(db, 'emails.id', param('emails'))),
  )
  return async function* (
    reader: Reader<Tables>,
    emails: readonly { email: number; size: number }[],
  ): AsyncGenerator<HeldContent | null> {
    for (const some of bundles(emails, HEADERS_TOGETHER, HEADERS_TOGETHER_BYTES)) {
      const byEmail = new Map<number, HeaderRow>()
      for (const row of await reader.all(headers, { emails: listOf(db, some) })) byEmail.set(row.email, row)
      for (const email of some) {
        const row = byEmail.get(email)
        if (row === undefined) yield null
        else yield row.header.length < row.header_size ? await contentOf(reader, row.email) : withHeader(row)
      }
    }
  }
}

/** A content as far as its header goes, which is held as a whole. */
function withHeader({ prefix, header }: HeaderRow): HeldContent {
  const read = async (start: number, end: number): Promise<Uint8Array> => header.subarray(start, end)
  const octets = async function* () {
    yield header
  }
  const { length } = header
  return {
    prefix: prefix ?? NO_PREFIX,
    header,
    size: length,
    headerSize: length,
    structure: '',
    blob: null,
    read,
    octets,
  }
}

function* bundles(
  emails: readonly { email: number; size: number }[],
  most: number,
  mostBytes: number,
): Generator<number[]> {
  let bundle: number[] = []
  let octets = 0
  for (const { email, size } of emails) {
    if (bundle.length === most || (bundle.length > 0 && octets + size > mostBytes)) {
      yield bundle
      bundle = []
      octets = 0
    }
    bundle.push(email)
    octets += size
  }
  if (bundle.length > 0) yield bundle
}

export type NumberedContent = HeldContent & { content: number }

/** These contents, those that are gone left out, without what is put in front of them. */
export function contentsByNumber(db: MailDatabase, blobs: Blobs) {
  const { open, bodyOf } = opener(db, blobs)
  const contentRow = db.prepare<{ content: number }, Omit<ContentRow, 'prefix'>>((query, param) =>
    query
      .selectFrom('contents')
      .select(['contents.id as content', 'contents.size', 'contents.header_size', 'contents.structure'])
      .select(['contents.header', 'contents.blob', 'contents.blob_offset'])
      .where('contents.id', '=', param('content')),
  )
  return async function* (reader: Reader<Tables>, contents: readonly number[]): AsyncGenerator<NumberedContent> {
    for (const content of contents) {
      const row = await reader.first(contentRow, { content })
      if (row === undefined) continue
      const body = row.blob === null ? await bodyOf(reader, content) : undefined
      yield { ...open(reader, { ...row, prefix: null }, body), content }
    }
  }
}

function opener(db: MailDatabase, blobs: Blobs) {
  const bodyRow = db.prepare<{ content: number }, { bytes: Uint8Array }>((query, param) =>
    query.selectFrom('bodies').select('bytes').where('content', '=', param('content')),
  )
  const bodyOf = async (reader: Reader<Tables>, content: number) => (await reader.first(bodyRow, { content }))?.bytes
  const open = (reader: Reader<Tables>, row: ContentRow, body?: Uint8Array): HeldContent => {
    const { prefix, size, header_size: headerSize, structure, header, blob, blob_offset: offset } = row
    const common = { prefix: prefix ?? NO_PREFIX, size, headerSize, structure, header }
    if (blob !== null) {
      const read = (start: number, end: number) => readBlob(blobs, blob, offset + start, end - start)
      const octets = () => blobs.read(blob, { offset, length: size })
      return { ...common, blob: { key: blob, offset }, read, octets }
    }
    const whole = async (): Promise<Uint8Array> => {
      body ??= await bodyOf(reader, row.content)
      if (body === undefined) throw new Error(`content ${row.content} has no body`)
      return body
    }
    const read = async (start: number, end: number) => {
      if (end <= headerSize) return header.subarray(start, end)
      const rest = await whole()
      if (start >= headerSize) return rest.subarray(start - headerSize, end - headerSize)
      return Buffer.concat([header.subarray(start), rest.subarray(0, end - headerSize)])
    }
    const octets = async function* () {
      yield header
      yield await whole()
    }
    return { ...common, blob: null, read, octets }
  }
  return { open, bodyOf }
}

async function readBlob(blobs: Blobs, key: string, offset: number, length: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(length)
  let filled = 0
  for await (const chunk of blobs.read(key, { offset, length })) {
    bytes.set(chunk, filled)
    filled += chunk.length
  }
  if (filled !== length) throw new Error(`blob ${key} ends ${length - filled} octets early`)
  return bytes
}
