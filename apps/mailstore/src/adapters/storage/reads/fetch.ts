/**
 * Messages by UID, a page at a time. Nothing is parsed: what FETCH asks for was computed when the message came, and
 * sections are cut out by their offsets.
 */
import type { Reader } from '@postbus/sql'
import type { Blobs } from '@postbus/blobs'
import type { Selectable } from 'kysely'

import { SEEN, systemFlagNames } from '../../../mailbox/flags.ts'
import { emailId } from '../../../mailbox/object-id.ts'
import { cutSections, previewOf, reachesBody } from '../../../mailbox/sections.ts'
import type { FetchedMessage, FetchPageOf } from '../../../mailbox/storage.ts'
import { above } from '../../../mailbox/uid-ranges.ts'
import type { MailDatabase, ReadOperation } from '../operation.ts'
import { keywordsOf, messagesIn } from '../rows.ts'
import type { Tables } from '../schema.ts'
import { findMailbox, numbers } from '../tables.ts'
import { heldContents } from './contents.ts'

/** Rows of one page without bytes: some milliseconds. */
const MAX_ROWS = 2000
/** With envelopes or structures, which are longer. */
const MAX_ROWS_WITH_TEXT = 500
/** A page ends when its bytes reach this; what waits for a slow reader is at most a page or two. */
const MAX_PAGE_BYTES = 512 * 1024

type Row = Pick<
  Selectable<Tables['messages']>,
  'uid' | 'modseq' | 'flags' | 'internal_date' | 'save_date' | 'size' | 'email'
>
const columns = ['uid', 'modseq', 'flags', 'internal_date', 'save_date', 'size', 'email'] as const

export function fetch(db: MailDatabase, blobs: Blobs): ReadOperation<'fetch'> {
  const contentOf = heldContents(db, blobs)
  return async (reader, { uids, want, changedSince, ...mailbox }) => {
    if ((await findMailbox(reader, mailbox)) === undefined) return null
    const texts = want.envelope || want.structure
    const contents = want.preview || want.sections.length > 0
    const limit = texts || contents ? MAX_ROWS_WITH_TEXT : MAX_ROWS
    const { rows, done } = await messagesIn(reader, mailbox.mailbox, uids, limit, columns, (of) =>
      changedSince === null ? of : of.where('messages.modseq', '>', changedSince),
    )
    const page = rows.map((row) => fetched(row, want))
    if (want.flags) await addFlags(reader, mailbox.mailbox, rows, page)
    if (texts) await addTexts(reader, rows, page, want)
    if (!contents) return { rows: page, rest: done === null ? [] : above(uids, done) }

    let pageBytes = 0
    const needsBody = want.preview || want.sections.some(reachesBody)
    for (const [index, { email, uid }] of rows.entries()) {
      const message = page[index]
      const content = await contentOf(reader, email, needsBody)
      if (message === undefined || content === null) continue
      if (want.preview) message.preview = await previewOf(content)
      if (want.sections.length === 0) continue
      const { sections, bytes } = await cutSections(content, want.sections)
      message.sections = sections
      message.bytes = bytes
      pageBytes += bytes.reduce((sum, { length }) => sum + length, 0)
      if (pageBytes >= MAX_PAGE_BYTES) return { rows: page.slice(0, index + 1), rest: above(uids, uid) }
    }
    return { rows: page, rest: done === null ? [] : above(uids, done) }
  }
}

function fetched(row: Row, want: FetchPageOf['want']): FetchedMessage {
  const message: FetchedMessage = { uid: row.uid, modseq: row.modseq, seen: (row.flags & SEEN) !== 0 }
  if (want.internalDate) message.internalDate = row.internal_date
  if (want.saveDate) message.saveDate = row.save_date
  if (want.emailId) message.emailId = emailId(row.email)
  if (want.size) message.size = row.size
  return message
}

async function addFlags(reader: Reader<Tables>, mailbox: number, rows: readonly Row[], page: FetchedMessage[]) {
  const { ids, names } = await keywordsOf(reader, mailbox, rows)
  for (const [index, { uid, flags }] of rows.entries()) {
    const message = page[index]
    if (message === undefined) continue
    const keywords = (ids.get(uid) ?? []).flatMap((number) => names.get(number) ?? [])
    message.flags = [...systemFlagNames(flags), ...keywords]
  }
}

async function addTexts(
  { query }: Reader<Tables>,
  rows: readonly Row[],
  page: FetchedMessage[],
  want: FetchPageOf['want'],
): Promise<void> {
  const found = await query
    .selectFrom('emails')
    .innerJoin('contents', 'contents.id', 'emails.content')
    .where('emails.id', 'in', numbers(rows.map(({ email }) => email)))
    .select(['emails.id', 'contents.envelope'])
    .$if(want.structure, (select) => select.select(['contents.wire_structure', 'contents.wire_body']))
    .execute()
  const byEmail = new Map(found.map((row) => [row.id, row]))
  for (const [index, { email }] of rows.entries()) {
    const message = page[index]
    const texts = byEmail.get(email)
    if (message === undefined || texts === undefined) continue
    if (want.envelope) message.envelope = texts.envelope
    if (want.structure) message.structure = { extended: texts.wire_structure ?? '', basic: texts.wire_body ?? '' }
  }
}
