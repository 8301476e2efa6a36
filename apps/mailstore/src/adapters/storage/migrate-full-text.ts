/** The step that brings SORT, THREAD and the text index: what is here already gets its sort keys. */
import { sortKeysOf } from '@postbus/message'
import type { Transaction } from '@postbus/sql'
import type { Kysely } from 'kysely'

import { sortKeysRowOf } from './writes/insert.ts'
import type { Tables } from './schema.ts'

/** Rows of one round. */
const PAGE = 200

export async function migrateFullText(tx: Transaction<unknown>): Promise<void> {
  await tx.exec(`
    create table sort_keys (
      content integer primary key,
      sent_at integer,
      subject text not null,
      is_reply integer not null,
      from_mailbox text not null,
      to_mailbox text not null,
      cc_mailbox text not null,
      display_from text not null,
      display_to text not null,
      message_id text,
      ancestors text not null
    ) strict;
    create table text_index (
      epoch text primary key
    ) strict, without rowid;
    insert into text_index values (lower(hex(randomblob(16))));
    create table dead_texts (
      content integer primary key
    ) strict;
  `)
  // These tables as they are at this step.
  const query = tx.query as Kysely<unknown> as Kysely<Pick<Tables, 'contents' | 'sort_keys'>>
  for (let last = 0; ;) {
    const contents = await query
      .selectFrom('contents')
      .select(['id', 'header'])
      .where('id', '>', last)
      .orderBy('id')
      .limit(PAGE)
      .execute()
    for (const { id, header } of contents) {
      await query
        .insertInto('sort_keys')
        .values(sortKeysRowOf(id, sortKeysOf(header)))
        .execute()
      last = id
    }
    if (contents.length < PAGE) return
  }
}
