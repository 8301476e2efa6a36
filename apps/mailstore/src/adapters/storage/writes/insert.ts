/** Contents, emails and messages come into being: what delivery and append share. Many rows are one way to a server and back. */
import type { SortKeys } from '@postbus/message'
import type { Transaction } from '@postbus/sql'

import type { StoredContent } from '../../../mailbox/content.ts'
import type { MailDatabase } from '../operation.ts'
import type { Tables } from '../schema.ts'
import { noteNewTexts } from '../text-index/notes.ts'
import { together } from '../together.ts'

type Tx = Transaction<Tables>
type Id = { id: number }

export interface NewContent {
  content: StoredContent
  /** How many emails will show it. */
  refs: number
}

export interface NewEmail {
  account: string
  content: number
  prefix: Uint8Array
}

export interface Inserts {
  /** In their order. `isNew`: otherwise the message's content was there by then, and counts these `refs` as well. */
  contents(tx: Tx, contents: readonly NewContent[]): Promise<{ id: number; isNew: boolean }[]>
  /** In their order. */
  emails(tx: Tx, emails: readonly NewEmail[]): Promise<number[]>
  messages(tx: Tx, messages: readonly Tables['messages'][]): Promise<void>
  keywords(tx: Tx, keywords: readonly Tables['message_keywords'][]): Promise<void>
}

export function inserts(db: MailDatabase): Inserts {
  // Another process may be storing the same message for other accounts: it is waited for.
  const contentRow = db.prepare<Omit<Tables['contents'], 'id'>, Id>((query, param) =>
    query
      .insertInto('contents')
      .values({
        queue_id: param('queue_id'),
        refs: param('refs'),
        size: param('size'),
        header_size: param('header_size'),
        sent_day: param('sent_day'),
        blob: param('blob'),
        blob_offset: param('blob_offset'),
        envelope: param('envelope'),
        wire_structure: param('wire_structure'),
        wire_body: param('wire_body'),
        structure: param('structure'),
        header: param('header'),
      })
      .onConflict((conflict) => conflict.doNothing())
      .returning('id'),
  )
  const share = db.prepare<{ queueId: string; refs: number }, Id>((query, param) =>
    query
      .updateTable('contents')
      .set((row) => ({ refs: row('refs', '+', param('refs')) }))
      .where('queue_id', '=', param('queueId'))
      .returning('id'),
  )
  const bodyRow = db.prepare<Tables['bodies'], unknown>((query, param) =>
    query.insertInto('bodies').values({ content: param('content'), bytes: param('bytes') }),
  )
  const sortKeysRow = db.prepare<Tables['sort_keys'], unknown>((query, param) =>
    query.insertInto('sort_keys').values({
      content: param('content'),
      sent_at: param('sent_at'),
      subject: param('subject'),
      is_reply: param('is_reply'),
      from_mailbox: param('from_mailbox'),
      to_mailbox: param('to_mailbox'),
      cc_mailbox: param('cc_mailbox'),
      display_from: param('display_from'),
      display_to: param('display_to'),
      message_id: param('message_id'),
      ancestors: param('ancestors'),
    }),
  )
  const emailRow = db.prepare<NewEmail, Id>((query, param) =>
    query
      .insertInto('emails')
      .values({ account: param('account'), content: param('content'), refs: 1, prefix: param('prefix') })
      .returning('id'),
  )
  const messageRow = db.prepare<Tables['messages'], unknown>((query, param) =>
    query.insertInto('messages').values({
      mailbox: param('mailbox'),
      uid: param('uid'),
      modseq: param('modseq'),
      flags: param('flags'),
      internal_date: param('internal_date'),
      save_date: param('save_date'),
      size: param('size'),
      email: param('email'),
    }),
  )
  const keywordRow = db.prepare<Tables['message_keywords'], unknown>((query, param) =>
    query
      .insertInto('message_keywords')
      .values({ mailbox: param('mailbox'), uid: param('uid'), keyword: param('keyword') }),
  )

  async function placed(tx: Tx, { content, refs }: NewContent, row: Id | undefined) {
    while (row === undefined) {
      const there = await tx.first(share, { queueId: content.queueId ?? '', refs })
      if (there !== undefined) return { id: there.id, isNew: false }
      // It has been purged since.
      row = await tx.first(contentRow, contentRowOf({ content, refs }))
    }
    return { id: row.id, isNew: true }
  }

  return {
    async contents(tx, contents) {
      const rows = await together(contents.map((each) => tx.first(contentRow, contentRowOf(each))))
      const stored: { id: number; isNew: boolean }[] = []
      for (const [index, each] of contents.entries()) stored.push(await placed(tx, each, rows[index]))

      const made = contents.flatMap(({ content }, index) =>
        stored[index]?.isNew ? [{ content, id: stored[index].id }] : [],
      )
      const bodies = made.flatMap(({ id, content: { body } }) => (body === null ? [] : [{ content: id, bytes: body }]))
      await together<unknown>([
        tx.runEach(
          sortKeysRow,
          made.map(({ id, content }) => sortKeysRowOf(id, content.sort)),
        ),
        tx.runEach(bodyRow, bodies),
        noteNewTexts(
          tx,
          made.map(({ id }) => id),
        ),
      ])
      return stored
    },
    async emails(tx, emails) {
      return (await together(emails.map((email) => tx.first(emailRow, email)))).map(idOf)
    },
    async messages(tx, messages) {
      await tx.runEach(messageRow, messages)
    },
    async keywords(tx, keywords) {
      await tx.runEach(keywordRow, keywords)
    },
  }
}

function contentRowOf({ content, refs }: NewContent): Omit<Tables['contents'], 'id'> {
  return {
    queue_id: content.queueId,
    refs,
    size: content.size,
    header_size: content.headerSize,
    sent_day: content.sort.sentDay,
    blob: content.blob?.key ?? null,
    blob_offset: content.blob?.offset ?? 0,
    envelope: content.envelope,
    wire_structure: content.wireStructure,
    wire_body: content.wireBody,
    structure: content.structure,
    header: content.header,
  }
}

/** No text of ours holds a NUL, which PostgreSQL could not store. */
export function sortKeysRowOf(content: number, keys: SortKeys): Tables['sort_keys'] {
  return {
    content,
    sent_at: keys.sentAt,
    subject: withoutNul(keys.subject),
    is_reply: Number(keys.isReply),
    from_mailbox: withoutNul(keys.from),
    to_mailbox: withoutNul(keys.to),
    cc_mailbox: withoutNul(keys.cc),
    display_from: withoutNul(keys.displayFrom),
    display_to: withoutNul(keys.displayTo),
    message_id: keys.messageId === null ? null : withoutNul(keys.messageId),
    ancestors: withoutNul(keys.references.join(' ')),
  }
}

const withoutNul = (text: string): string => text.replaceAll('\0', '\u{fffd}')

function idOf(row: Id | undefined): number {
  if (row === undefined) throw new Error('an insert returned no row')
  return row.id
}
