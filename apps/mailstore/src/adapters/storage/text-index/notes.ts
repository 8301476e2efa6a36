/** What transactions that bring and take away contents note for the index of their dialect. */
import { randomUUID } from 'node:crypto'

import type { Transaction } from '@postbus/sql'
import { sql } from 'kysely'

import { isOneOf } from '../dialect.ts'
import type { Tables } from '../schema.ts'

type Tx = Transaction<Tables>

/** FTS5 follows the contents by their numbers. On PostgreSQL a lower number may be committed after a higher one. */
export async function noteNewTexts(tx: Tx, contents: readonly number[]): Promise<void> {
  if (tx.dialect === 'sqlite' || contents.length === 0) return
  await tx.query
    .insertInto('unindexed_texts')
    .values(contents.map((content) => ({ content })))
    .execute()
}

export async function noteGoneTexts(tx: Tx, contents: readonly number[]): Promise<void> {
  if (tx.dialect === 'sqlite') {
    await tx.query
      .insertInto('dead_texts')
      .values(contents.map((content) => ({ content })))
      .execute()
    return
  }
  // In this order: see signatures/indexing.ts.
  for (const table of ['unindexed_texts', 'text_signatures'] as const) {
    await tx.query
      .deleteFrom(table)
      .where(isOneOf(tx, 'content', contents))
      .execute()
  }
}

/** Nothing is indexed: an index in a file of its own may know contents that are not here, under numbers that come next. */
export async function noteOtherTexts(tx: Tx): Promise<void> {
  if (tx.dialect === 'sqlite') {
    await tx.query.updateTable('text_index').set({ epoch: randomUUID() }).execute()
    return
  }
  await tx.query.deleteFrom('text_signatures').execute()
  await tx.query.deleteFrom('unindexed_texts').execute()
  await sql`insert into unindexed_texts (content) select id from contents`.execute(tx.query)
}
