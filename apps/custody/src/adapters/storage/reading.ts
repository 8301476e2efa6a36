/** What any replica may ask of the books. */
import type { LaterReport, QueueId, RecipientKey } from '@postbus/contracts'
import type { Database } from '@postbus/sql'
import { sql } from 'kysely'

import type { Books, MessagePage, RecipientPage } from '../../tracking/books.ts'
import type { RecipientStatus } from '../../tracking/order.ts'
import { countBooks } from './balance.ts'
import { deadTasks, knownStreams, openMessages, openTasks } from './census.ts'
import { lookUps } from './look-ups.ts'
import { readingQueue } from './queue.ts'
import { entryIn, originalIn, parsed, TRACKED, trackedIn } from './rows.ts'
import { FREED, PHASES, type Tables } from './tables.ts'

export function readingBooks(db: Database<Tables>): Omit<Books, 'lead' | 'close'> {
  return {
    knownStreams: () => knownStreams(db),
    openTasks: (after, limit) => openTasks(db, after, limit),
    deadTasks: (after, limit) => deadTasks(db, after, limit),
    openMessages: (after, limit) => openMessages(db, after, limit),
    counts: ({ failures }) => countBooks(db, failures),
    ...readingQueue(db),
    find: (queueId) => find(db, queueId),
    findMessages: lookUps(db),
    findHistory: (queueId, n) => findHistory(db, queueId, n),
    async unreadReports(after, limit) {
      const rows = await db.query
        .selectFrom('message')
        .select('queue_id')
        .where('unread', '=', sql.lit(1))
        .where('queue_id', '>', after ?? '')
        .orderBy('queue_id')
        .limit(limit)
        .execute()
      return rows.map(({ queue_id }) => queue_id as QueueId)
    },
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
    async oldestReady() {
      const unrouted = await db.query
        .selectFrom('message')
        .select((select) => select.fn.min('seen_at').as('since'))
        .where('unrouted_due_at', 'is not', null)
        .executeTakeFirstOrThrow()
      const local = await db.query
        .selectFrom('recipient')
        .innerJoin('message', 'message.queue_id', 'recipient.queue_id')
        .select((select) => select.fn.min('message.seen_at').as('since'))
        .where('recipient.open', '=', sql.lit(1))
        .where('recipient.state', '=', 'routed')
        .where('recipient.site', 'is', null)
        .where('recipient.merged_into', 'is', null)
        .executeTakeFirstOrThrow()
      const remote = await db.query
        .selectFrom('recipient')
        .select((select) => select.fn.min(select.fn.coalesce('next_attempt_at', 'accepted_at')).as('since'))
        .where('accepted_at', 'is not', null)
        .where('state', 'in', ['routed', 'deferred'])
        .executeTakeFirstOrThrow()
      return { routing: unrouted.since, mailbox: local.since, attempt: remote.since }
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
  const later = await db.query
    .selectFrom('later_report')
    .select(['n', 'note'])
    .where('queue_id', '=', queueId)
    .execute()
  return {
    queueId,
    entry,
    phase: PHASES[row.phase] ?? 'open',
    incarnation: row.incarnation,
    freedAt: row.freed_at === null ? null : new Date(row.freed_at),
    originals: originals.map((row) => {
      const { recipient, routed, report } = originalIn(row)
      return { recipient, routed, report }
    }),
    recipients: recipients.map(trackedIn),
    laterReports: new Map(
      [...Map.groupBy(later, ({ n }) => n as RecipientKey)].map(([n, notes]) => [n, inOrder(notes)]),
    ),
  }
}

async function findHistory(
  { query }: Database<Tables>,
  queueId: QueueId,
  n: RecipientKey,
): Promise<RecipientPage | null> {
  const row = await query
    .selectFrom('recipient')
    .select(TRACKED)
    .where('queue_id', '=', queueId)
    .where('n', '=', n)
    .where('listing', 'is not', null)
    .executeTakeFirst()
  const tracked = row && trackedIn(row)
  if (!tracked?.listing) return null
  const superseded = await query
    .selectFrom('history')
    .select('status')
    .where('queue_id', '=', queueId)
    .where('n', '=', n)
    .orderBy('ended')
    .orderBy('incarnation')
    .orderBy('attempt')
    .orderBy('rank')
    .execute()
  const later = await query
    .selectFrom('later_report')
    .select('note')
    .where('queue_id', '=', queueId)
    .where('n', '=', n)
    .execute()
  return {
    ...{ tracked, forwardPath: tracked.listing.final.forwardPath },
    superseded: superseded.flatMap(({ status }) => parsed<RecipientStatus>(status) ?? []),
    laterReports: inOrder(later),
  }
}

function inOrder(rows: readonly Pick<Tables['later_report'], 'note'>[]): LaterReport[] {
  return rows
    .flatMap(({ note }) => parsed<LaterReport>(note) ?? [])
    .toSorted((one, other) => Date.parse(one.at) - Date.parse(other.at))
}
