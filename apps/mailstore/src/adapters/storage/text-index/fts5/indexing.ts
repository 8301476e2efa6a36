/**
 * Fills the index a step at a time: texts after the cursor come in, texts of contents that are gone go. What a step wrote and the
 * cursor are one transaction.
 */
import type { Blobs } from '@postbus/blobs'
import type { Transaction } from '@postbus/sql'
import { sql } from 'kysely'

import type { MailDatabase } from '../../operation.ts'
import { contentsByNumber } from '../../reads/contents.ts'
import { type ReadText, readTexts, STEP_CONTENTS } from '../reading.ts'
import type { Indexing } from '../text-index.ts'
import type { IndexDatabase, IndexTables } from './schema.ts'

const STEP_REMOVED = 500

export function fts5Indexing(db: MailDatabase, blobs: Blobs, index: IndexDatabase): Indexing {
  const contentsOf = contentsByNumber(db, blobs)

  async function numbersAfter(cursor: number): Promise<number[]> {
    const contents = db.query.selectFrom('contents').select('id').where('id', '>', cursor)
    const rows = await contents.orderBy('id').limit(STEP_CONTENTS).execute()
    return rows.map(({ id }) => id)
  }

  return async () => {
    const { epoch } = await db.query.selectFrom('text_index').select('epoch').executeTakeFirstOrThrow()
    const { cursor } = await index.transaction((tx) => progressOf(tx, epoch))
    const contents = await numbersAfter(cursor)
    const { read, unreadable, more } = await readTexts(contentsOf(db, contents))
    const dead = await db.query.selectFrom('dead_texts').select('content').limit(STEP_REMOVED).execute()
    const done = await index.transaction(async (tx) => {
      const progress = await progressOf(tx, epoch)
      // Another process was here.
      if (progress.cursor !== cursor) return { texts: 0, forgotten: [] }
      const last = (more ? read.at(-1)?.content : contents.at(-1)) ?? cursor
      for (const each of read) await addText(tx, each)
      await tx.query.updateTable('progress').set({ cursor: last }).execute()
      // What is after the cursor may be in the hands of another process just now.
      const forgotten = dead.map(({ content }) => content).filter((content) => content <= last)
      for (const content of forgotten) {
        await sql`delete from texts where rowid = ${content}`.execute(tx.query)
        await tx.query.deleteFrom('partial').where('content', '=', content).execute()
      }
      return { texts: read.length, forgotten }
    })
    return { ...done, unreadable, more: more || contents.length === STEP_CONTENTS || dead.length === STEP_REMOVED }
  }
}

/** An index of another epoch, which may know of contents that never were, begins anew. */
async function progressOf({ query }: Transaction<IndexTables>, epoch: string): Promise<{ cursor: number }> {
  const progress = await query.selectFrom('progress').selectAll().executeTakeFirst()
  if (progress?.epoch === epoch) return progress
  await query.deleteFrom('progress').execute()
  await query.deleteFrom('partial').execute()
  await sql`insert into texts (texts) values ('delete-all')`.execute(query)
  await query.insertInto('progress').values({ epoch, cursor: 0 }).execute()
  return { cursor: 0 }
}

async function addText({ query }: Transaction<IndexTables>, { content, text }: ReadText): Promise<void> {
  if (text === null) {
    await query.insertInto('partial').values({ content }).execute()
    return
  }
  const { headers, bodies } = text
  await sql`insert into texts (rowid, headers, bodies) values (${content}, ${headers}, ${bodies})`.execute(query)
}
