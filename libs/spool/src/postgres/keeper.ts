/**
 * Custody's side of a spool in PostgreSQL. Freeing deletes the row; the chunks of a longer message stay for a while, for those who
 * are reading it, and go with a sweep. There is nothing to compact.
 *
 * A record may be committed after one that was begun later, and a listing has passed by it then: the next one has it.
 */
import { BESIDE_OTHERS } from '@postbus/blobs/chunks'
import { QueueId } from '@postbus/contracts'

import type { OnDamage } from '../list-records.ts'
import { CorruptRecord, type SpoolKeeper } from '../spool.ts'
import { eventIn } from './events.ts'
import { SpoolDatabase, type SpoolDatabaseOptions } from './open.ts'

/** Events read at once. */
const PAGE = 500

export function postgresKeeper(url: string, options: SpoolDatabaseOptions, onDamage: OnDamage): SpoolKeeper {
  const database = new SpoolDatabase(url, options)

  async function* rows() {
    const { query } = await database.ready()
    for (let after = 0; ;) {
      const page = await query
        .selectFrom('record')
        .select(['queue_id', 'number', 'written_at', 'event'])
        .where('number', '>', after)
        .orderBy('number')
        .limit(PAGE)
        .execute()
      yield* page
      const last = page.at(-1)
      if (!last || page.length < PAGE) return
      after = last.number
    }
  }

  return {
    async *list() {
      for await (const row of rows()) {
        try {
          yield { accepted: eventIn(row), writtenAt: new Date(row.written_at) }
        } catch (cause) {
          if (!(cause instanceof CorruptRecord)) throw cause
          onDamage(QueueId.parse(row.queue_id), cause)
        }
      }
    },
    async free(queueIds) {
      if (queueIds.length === 0) return
      const db = await database.ready()
      await db.transaction(async ({ query }) => {
        const freed = await query.deleteFrom('record').where('queue_id', 'in', queueIds).returning('content').execute()
        const contents = freed.map(({ content }) => content).filter((content) => content !== null)
        if (contents.length === 0) return
        await query.updateTable('content').set({ gone_at: Date.now() }).where('id', 'in', contents).execute()
      }, BESIDE_OTHERS)
    },
    compact: () => Promise.resolve({ copied: 0, segmentsRemoved: 0 }),
    async sweep(olderThan) {
      await database.ready()
      return await database.chunks.sweep(olderThan)
    },
    close: () => database.close(),
  }
}
