/**
 * Writes the signatures of contents that have none yet, a step at a time. Several processes may be at it: each takes contents that
 * none of the others has in hand.
 */
import type { Blobs } from '@postbus/blobs'

import { isOneOf } from '../../dialect.ts'
import type { MailDatabase } from '../../operation.ts'
import { contentsByNumber } from '../../reads/contents.ts'
import type { Tables } from '../../schema.ts'
import { readTexts, STEP_CONTENTS } from '../reading.ts'
import type { Indexing } from '../text-index.ts'
import { signatureOf } from './signature.ts'

export function signatureIndexing(db: MailDatabase, blobs: Blobs): Indexing {
  const contentsOf = contentsByNumber(db, blobs)
  const write = db.prepare<Tables['text_signatures'], unknown>((query, param) =>
    query
      .insertInto('text_signatures')
      .values({ content: param('content'), headers: param('headers'), bodies: param('bodies') }),
  )
  return () =>
    db.transaction(
      async (tx) => {
        // Whoever takes a content away takes it away from here first, and so waits for what this step writes of it.
        const waiting = await tx.query
          .selectFrom('unindexed_texts')
          .select('content')
          .orderBy('content')
          .limit(STEP_CONTENTS)
          .forUpdate()
          .skipLocked()
          .execute()
        const contents = waiting.map(({ content }) => content)
        const { read, unreadable, more } = await readTexts(contentsOf(tx, contents))
        const rows = read.map(({ content, text }) => ({
          content,
          headers: text && signatureOf(text.headers),
          bodies: text && signatureOf(text.bodies),
        }))
        await tx.runEach(write, rows)
        const done = more ? read.map(({ content }) => content) : contents
        await tx.query
          .deleteFrom('unindexed_texts')
          .where(isOneOf(tx, 'content', done))
          .execute()
        return { texts: read.length, unreadable, forgotten: [], more: more || contents.length === STEP_CONTENTS }
      },
      { locks: [] },
    )
}
