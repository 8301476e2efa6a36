/** The statements of the hot path, compiled once. Literals stand where a partial index must recognise its condition. */
import type { Database, Param } from '@postbus/sql'
import { sql } from 'kysely'

import { TRACKED } from './rows.ts'
import type { Tables } from './tables.ts'

export type Statements = ReturnType<typeof statements>

type OfMessage = { queueId: string }
type OfOriginal = { queueId: string; original: number }
type OfRecipient = { queueId: string; n: string }

export function statements(db: Database<Tables>) {
  return {
    epoch: db.prepare((query) => query.selectFrom('leadership').select('epoch')),
    message: db.prepare((query, param: Param<OfMessage>) =>
      query.selectFrom('message').selectAll().where('queue_id', '=', param('queueId')),
    ),
    tombstone: db.prepare((query, param: Param<OfMessage>) =>
      query.selectFrom('tombstone').select('queue_id').where('queue_id', '=', param('queueId')),
    ),
    original: db.prepare((query, param: Param<OfOriginal>) =>
      query
        .selectFrom('original')
        .selectAll()
        .where('queue_id', '=', param('queueId'))
        .where('original', '=', param('original')),
    ),
    pages: db.prepare((query, param: Param<OfOriginal>) =>
      query
        .selectFrom('routed_page')
        .selectAll()
        .where('queue_id', '=', param('queueId'))
        .where('original', '=', param('original')),
    ),
    recipient: db.prepare((query, param: Param<OfRecipient>) =>
      query
        .selectFrom('recipient')
        .select(TRACKED)
        .where('queue_id', '=', param('queueId'))
        .where('n', '=', param('n')),
    ),
    putMessage: db.prepare((query, param: Param<Tables['message']>) =>
      query
        .insertInto('message')
        .values({
          queue_id: param('queue_id'),
          phase: param('phase'),
          incarnation: param('incarnation'),
          originals: param('originals'),
          entry: param('entry'),
          seen_at: param('seen_at'),
          unrouted_due_at: param('unrouted_due_at'),
          freed_at: null,
        })
        .onConflict((conflict) =>
          conflict.column('queue_id').doUpdateSet((row) => ({
            phase: row.ref('excluded.phase'),
            incarnation: row.ref('excluded.incarnation'),
            originals: row.ref('excluded.originals'),
            entry: row.ref('excluded.entry'),
            unrouted_due_at: row.ref('excluded.unrouted_due_at'),
          })),
        ),
    ),
    putOriginal: db.prepare((query, param: Param<Tables['original']>) =>
      query
        .insertInto('original')
        .values({
          queue_id: param('queue_id'),
          original: param('original'),
          recipient: param('recipient'),
          routed: param('routed'),
        })
        .onConflict((conflict) =>
          conflict.columns(['queue_id', 'original']).doUpdateSet((row) => ({
            recipient: row.ref('excluded.recipient'),
            routed: row.ref('excluded.routed'),
          })),
        ),
    ),
    putPage: db.prepare((query, param: Param<Tables['routed_page']>) =>
      query
        .insertInto('routed_page')
        .values({
          queue_id: param('queue_id'),
          original: param('original'),
          incarnation: param('incarnation'),
          page: param('page'),
        })
        .onConflict((conflict) => conflict.doNothing()),
    ),
    putRecipient: db.prepare((query, param: Param<Tables['recipient']>) =>
      query
        .insertInto('recipient')
        .values({
          queue_id: param('queue_id'),
          n: param('n'),
          original: param('original'),
          listing: param('listing'),
          status: param('status'),
          first_attempt_at: param('first_attempt_at'),
          state: param('state'),
          open: param('open'),
          due_at: param('due_at'),
          report: param('report'),
          delay_report: param('delay_report'),
          report_due_at: param('report_due_at'),
        })
        .onConflict((conflict) =>
          conflict.columns(['queue_id', 'n']).doUpdateSet((row) => ({
            original: row.ref('excluded.original'),
            listing: row.ref('excluded.listing'),
            status: row.ref('excluded.status'),
            first_attempt_at: row.ref('excluded.first_attempt_at'),
            state: row.ref('excluded.state'),
            open: row.ref('excluded.open'),
            due_at: row.ref('excluded.due_at'),
            // The earlier time stands while there is something to tell. Of null and another value, min gives null.
            report_due_at: sql<
              number | null
            >`min(coalesce(${row.ref('recipient.report_due_at')}, ${row.ref('excluded.report_due_at')}), ${row.ref('excluded.report_due_at')})`,
          })),
        ),
    ),
    routedOriginals: db.prepare((query, param: Param<OfMessage>) =>
      query
        .selectFrom('original')
        .select((select) => select.fn.countAll<number>().as('count'))
        .where('queue_id', '=', param('queueId'))
        .where('routed', '=', 1),
    ),
    anyOpen: db.prepare((query, param: Param<OfMessage>) =>
      query
        .selectFrom('recipient')
        .select('queue_id')
        .where('queue_id', '=', param('queueId'))
        .where('open', '=', sql.lit(1))
        .limit(1),
    ),
    reportWaits: db.prepare((query, param: Param<OfMessage>) =>
      query
        .selectFrom('recipient')
        .select('queue_id')
        .where('queue_id', '=', param('queueId'))
        .where('report_due_at', 'is not', null)
        .limit(1),
    ),
    /** Nothing more will come that could share the report. */
    hastenReports: db.prepare((query, param: Param<OfMessage & { now: number }>) =>
      query
        .updateTable('recipient')
        .set({ report_due_at: param('now') })
        .where('queue_id', '=', param('queueId'))
        .where('report_due_at', '>', param('now')),
    ),
    planWaits: db.prepare((query, param: Param<OfMessage>) =>
      query
        .selectFrom('report')
        .select('queue_id')
        .where('about', '=', param('queueId'))
        .where('done_at', 'is', null)
        .limit(1),
    ),
    setPhase: db.prepare((query, param: Param<OfMessage & { phase: number }>) =>
      query
        .updateTable('message')
        .set({ phase: param('phase') })
        .where('queue_id', '=', param('queueId')),
    ),
  }
}
