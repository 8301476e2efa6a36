/** What a census asks and writes: everything open by its key, in pages along the primary keys. */
import type { QueueId, RecipientKey } from '@postbus/contracts'
import type { Database, Transaction } from '@postbus/sql'
import { sql } from 'kysely'

import type { OpenTask } from '../../tracking/books.ts'
import type { KnownStream } from '../../reconcile/census.ts'
import type { Tables } from './tables.ts'

export async function knownStreams(db: Database<Tables>): Promise<KnownStream[]> {
  const rows = await db.query.selectFrom('stream').selectAll().execute()
  return rows.map(({ name, created_at, last_sequence }) => ({
    name,
    createdAt: created_at,
    lastSequence: last_sequence,
  }))
}

/** Not those that nothing on the bus stands for: dead ones wait for a person. */
export async function openTasks(db: Database<Tables>, after: OpenTask | null, limit: number): Promise<OpenTask[]> {
  const rows = await db.query
    .selectFrom('recipient')
    .select(['queue_id', 'n'])
    .where('open', '=', sql.lit(1))
    .where('due_at', 'is not', null)
    .where(({ eb, refTuple, tuple, lit }) =>
      after === null ? lit(true) : eb(refTuple('queue_id', 'n'), '>', tuple(after.queueId, after.n)),
    )
    .orderBy('queue_id')
    .orderBy('n')
    .limit(limit)
    .execute()
  return rows.map(({ queue_id, n }) => ({ queueId: queue_id as QueueId, n: n as RecipientKey }))
}

export async function deadTasks(db: Database<Tables>, after: OpenTask | null, limit: number): Promise<OpenTask[]> {
  const rows = await db.query
    .selectFrom('recipient')
    .select(['queue_id', 'n'])
    .where('open', '=', sql.lit(1))
    .where('state', '=', sql.lit('dead' as const))
    .where(({ eb, refTuple, tuple, lit }) =>
      after === null ? lit(true) : eb(refTuple('queue_id', 'n'), '>', tuple(after.queueId, after.n)),
    )
    .orderBy('queue_id')
    .orderBy('n')
    .limit(limit)
    .execute()
  return rows.map(({ queue_id, n }) => ({ queueId: queue_id as QueueId, n: n as RecipientKey }))
}

export async function openMessages(db: Database<Tables>, after: QueueId | null, limit: number): Promise<QueueId[]> {
  const rows = await db.query
    .selectFrom('message')
    .select('queue_id')
    .where('phase', '=', sql.lit(0))
    .where('unrouted_due_at', 'is not', null)
    .where('queue_id', '>', after ?? '')
    .orderBy('queue_id')
    .limit(limit)
    .execute()
  return rows.map(({ queue_id }) => queue_id as QueueId)
}

export async function noteStreams({ query }: Transaction<Tables>, streams: readonly KnownStream[]): Promise<void> {
  for (const { name, createdAt, lastSequence } of streams) {
    const state = { created_at: createdAt, last_sequence: lastSequence }
    await query
      .insertInto('stream')
      .values({ name, ...state })
      .onConflict((conflict) => conflict.column('name').doUpdateSet(state))
      .execute()
  }
}
