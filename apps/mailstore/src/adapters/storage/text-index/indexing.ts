/**
 * Fills the text index, a bounded step at a time: texts after the cursor come in, texts of contents that are gone go. What
 * a step wrote and the cursor are one transaction, so it may be killed at any time; two processes never do a step twice.
 */
import type { Blobs } from '@postbus/blobs'
import { indexText, type IndexText, unpackStructure } from '@postbus/message'
import type { Transaction } from '@postbus/sql'
import { sql } from 'kysely'

import type { IndexStep } from '../../../mailbox/storage.ts'
import type { MailDatabase } from '../operation.ts'
import { contentsAfter } from '../reads/contents.ts'
import type { IndexDatabase, IndexTables } from './schema.ts'

/** Longer texts are not indexed, but looked at by every search: characters. */
const MAX_TEXT = 2 * 1024 * 1024
/** A step ends when it has read so much: characters. */
const STEP_TEXT = 1024 * 1024
const STEP_CONTENTS = 200
const STEP_REMOVED = 500

interface Read {
  content: number
  /** Null: not to be indexed. */
  text: IndexText | null
}

export interface Indexed extends IndexStep {
  /** Contents whose texts are gone: the database need not remember them any longer. */
  forgotten: number[]
}

export function indexing(db: MailDatabase, blobs: Blobs, index: IndexDatabase): () => Promise<Indexed> {
  const next = contentsAfter(db, blobs)

  async function readAfter(cursor: number): Promise<{ read: Read[]; unreadable: number; more: boolean }> {
    const read: Read[] = []
    let unreadable = 0
    let characters = 0
    for await (const { content, octets, structure } of next(cursor, STEP_CONTENTS)) {
      let text: IndexText | null = null
      try {
        text = await indexText(octets(), unpackStructure(structure), MAX_TEXT)
      } catch {
        unreadable++
      }
      read.push({ content, text })
      characters += text === null ? MAX_TEXT : text.headers.length + text.bodies.length
      if (characters >= STEP_TEXT) break
    }
    return { read, unreadable, more: characters >= STEP_TEXT || read.length === STEP_CONTENTS }
  }

  return async () => {
    const { epoch } = await db.query.selectFrom('text_index').select('epoch').executeTakeFirstOrThrow()
    const { cursor } = await index.transaction((tx) => progressOf(tx, epoch))
    const { read, unreadable, more } = await readAfter(cursor)
    const dead = await db.query.selectFrom('dead_texts').select('content').limit(STEP_REMOVED).execute()
    const done = await index.transaction(async (tx) => {
      const progress = await progressOf(tx, epoch)
      // Another process was here.
      if (progress.cursor !== cursor) return { texts: 0, forgotten: [] }
      const last = read.at(-1)?.content ?? cursor
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
    return { ...done, unreadable, more: more || dead.length === STEP_REMOVED }
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

async function addText({ query }: Transaction<IndexTables>, { content, text }: Read): Promise<void> {
  if (text === null) {
    await query.insertInto('partial').values({ content }).execute()
    return
  }
  const { headers, bodies } = text
  await sql`insert into texts (rowid, headers, bodies) values (${content}, ${headers}, ${bodies})`.execute(query)
}
