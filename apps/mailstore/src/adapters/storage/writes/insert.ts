/** Contents, emails and messages come into being: what delivery and append share. */
import type { SortKeys } from '@postbus/message'
import type { Transaction } from '@postbus/sql'

import type { StoredContent } from '../../../mailbox/content.ts'
import type { MailDatabase } from '../operation.ts'
import type { Tables } from '../schema.ts'

type Tx = Transaction<Tables>
type Id = { id: number }

export interface Inserts {
  content(tx: Tx, content: StoredContent): Promise<number>
  /** One more email shows this content; false when the content is gone. */
  shareContent(tx: Tx, content: number): Promise<boolean>
  email(tx: Tx, email: { account: string; content: number; prefix: Uint8Array }): Promise<number>
  message(tx: Tx, message: Tables['messages']): Promise<void>
}

export function inserts(db: MailDatabase): Inserts {
  const contentRow = db.prepare<Omit<Tables['contents'], 'id' | 'refs'>, Id>((query, param) =>
    query
      .insertInto('contents')
      .values({
        queue_id: param('queue_id'),
        refs: 1,
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
  const share = db.prepare<Id, unknown>((query, param) =>
    query
      .updateTable('contents')
      .set((row) => ({ refs: row('refs', '+', 1) }))
      .where('id', '=', param('id')),
  )
  const emailRow = db.prepare<{ account: string; content: number; prefix: Uint8Array }, Id>((query, param) =>
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
  return {
    async content(tx, content) {
      const { id } = idOf(
        await tx.first(contentRow, {
          queue_id: content.queueId,
          size: content.size,
          header_size: content.headerSize,
          sent_day: content.sentDay,
          blob: content.blob?.key ?? null,
          blob_offset: content.blob?.offset ?? 0,
          envelope: content.envelope,
          wire_structure: content.wireStructure,
          wire_body: content.wireBody,
          structure: content.structure,
          header: content.header,
        }),
      )
      await tx.run(sortKeysRow, sortKeysRowOf(id, content.sort))
      if (content.body !== null) await tx.run(bodyRow, { content: id, bytes: content.body })
      return id
    },
    async shareContent(tx, content) {
      return (await tx.run(share, { id: content })) === 1
    },
    async email(tx, email) {
      return idOf(await tx.first(emailRow, email)).id
    },
    async message(tx, message) {
      await tx.run(messageRow, message)
    },
  }
}

export function sortKeysRowOf(content: number, keys: SortKeys): Tables['sort_keys'] {
  return {
    content,
    sent_at: keys.sentAt,
    subject: keys.subject,
    is_reply: Number(keys.isReply),
    from_mailbox: keys.from,
    to_mailbox: keys.to,
    cc_mailbox: keys.cc,
    display_from: keys.displayFrom,
    display_to: keys.displayTo,
    message_id: keys.messageId,
    ancestors: keys.references.join(' '),
  }
}

function idOf(row: Id | undefined): Id {
  if (row === undefined) throw new Error('an insert returned no row')
  return row
}
