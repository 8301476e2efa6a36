/** What any replica may ask of the books. */
import type { QueueId } from '@postbus/contracts'
import type { Database } from '@postbus/sql'
import { sql } from 'kysely'

import type { Books, MessagePage } from '../../tracking/books.ts'
import { deadTasks, knownStreams, openMessages, openTasks } from './census.ts'
import { entryIn, recipientIn, TRACKED, trackedIn } from './rows.ts'
import { FREED, PHASES, type Tables } from './tables.ts'

export function readingBooks(db: Database<Tables>): Omit<Books, 'lead' | 'close'> {
  return {
    knownStreams: () => knownStreams(db),
    openTasks: (after, limit) => openTasks(db, after, limit),
    deadTasks: (after, limit) => deadTasks(db, after, limit),
    openMessages: (after, limit) => openMessages(db, after, limit),
    find: (queueId) => find(db, queueId),
    async isKnown(queueId) {
      for (const table of ['message', 'tombstone'] as const) {
        const row = await db.query
          .selectFrom(table)
          .select('queue_id')
          .where('queue_id', '=', queueId)
          .executeTakeFirst()
        if (row !== undefined) return true
      }
      return false
    },
    async findRecipient(queueId, n) {
      const row = await db.query
        .selectFrom('recipient')
        .innerJoin('message', 'message.queue_id', 'recipient.queue_id')
        .select([...TRACKED, 'incarnation'])
        .where('recipient.queue_id', '=', queueId)
        .where('n', '=', n)
        .executeTakeFirst()
      return row === undefined ? null : { incarnation: row.incarnation, tracked: trackedIn(row) }
    },
    async findUnrouted(queueId) {
      const row = await db.query
        .selectFrom('message')
        .select('incarnation')
        .where('queue_id', '=', queueId)
        .where('unrouted_due_at', 'is not', null)
        .executeTakeFirst()
      return row?.incarnation ?? null
    },
    async count() {
      const rows = await db.query
        .selectFrom('message')
        .select(['phase', (select) => select.fn.countAll<number>().as('count')])
        .where('phase', '<', sql.lit(FREED))
        .groupBy('phase')
        .execute()
      const open = await db.query
        .selectFrom('recipient')
        .select((select) => select.fn.countAll<number>().as('count'))
        .where('open', '=', sql.lit(1))
        .executeTakeFirstOrThrow()
      const phases = { open: 0, reportDue: 0, settled: 0, buried: 0 }
      for (const { phase, count } of rows) {
        const name = PHASES[phase]
        if (name !== undefined && name !== 'freed') phases[name] = count
      }
      return { phases, openRecipients: open.count }
    },
  }
}

async function find(db: Database<Tables>, queueId: QueueId): Promise<MessagePage | null> {
  const row = await db.query.selectFrom('message').selectAll().where('queue_id', '=', queueId).executeTakeFirst()
  const entry = entryIn(row?.entry ?? null)
  if (row === undefined || entry === null) return null
  const originals = await db.query
    .selectFrom('original')
    .selectAll()
    .where('queue_id', '=', queueId)
    .orderBy('original')
    .execute()
  const recipients = await db.query
    .selectFrom('recipient')
    .select(TRACKED)
    .where('queue_id', '=', queueId)
    .where('listing', 'is not', null)
    .orderBy('n')
    .execute()
  return {
    queueId,
    entry,
    phase: PHASES[row.phase] ?? 'open',
    incarnation: row.incarnation,
    freedAt: row.freed_at === null ? null : new Date(row.freed_at),
    originals: originals.map(({ recipient, routed }) => ({ recipient: recipientIn(recipient), routed: routed === 1 })),
    recipients: recipients.map(trackedIn),
  }
}
