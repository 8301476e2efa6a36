/** The statements of the hot path, compiled once. Literals stand where a partial index must recognise its condition. */
import type { Database, Param } from '@postbus/sql'
import { type Expression, sql } from 'kysely'

import { type LookUpFields, TRACKED } from './rows.ts'
import { PLACE, type Tables } from './tables.ts'

export type Statements = ReturnType<typeof statements>

type OfMessage = { queueId: string }
type OfOriginal = { queueId: string; original: number }
type OfRecipient = { queueId: string; n: string }

export function statements(db: Database<Tables>) {
  return {
    /**
     * Locked until the commit: a leader that takes over waits for it, and whoever asks after that leader's commit is superseded. SQLite
     * has one transaction at a time.
     */
    epoch: db.prepare((query) => {
      const epoch = query.selectFrom('leadership').select('epoch')
      return db.dialect === 'postgres' ? epoch.forUpdate() : epoch
    }),
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
          merges: param('merges'),
          unread: param('unread'),
          accepted_hour: param('accepted_hour'),
          message_id_hash: param('message_id_hash'),
          sender_hash: param('sender_hash'),
        })
        .onConflict((conflict) =>
          conflict.column('queue_id').doUpdateSet((row) => ({
            phase: row.ref('excluded.phase'),
            incarnation: row.ref('excluded.incarnation'),
            originals: row.ref('excluded.originals'),
            entry: row.ref('excluded.entry'),
            unrouted_due_at: row.ref('excluded.unrouted_due_at'),
            merges: row.ref('excluded.merges'),
            unread: row.ref('excluded.unread'),
            // What it is looked up by stays out of this: setting it, even to the same, costs as much as its indexes.
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
          named: param('named'),
          accepted_hour: param('accepted_hour'),
          address_hash: param('address_hash'),
          report: param('report'),
          report_due_at: param('report_due_at'),
        })
        .onConflict((conflict) =>
          conflict.columns(['queue_id', 'original']).doUpdateSet((row) => ({
            recipient: row.ref('excluded.recipient'),
            routed: row.ref('excluded.routed'),
            named: row.ref('excluded.named'),
            report_due_at: row.ref('excluded.report_due_at'),
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
          site: param('site'),
          accepted_at: param('accepted_at'),
          next_attempt_at: param('next_attempt_at'),
          merged_into: param('merged_into'),
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
            site: row.ref('excluded.site'),
            accepted_at: row.ref('excluded.accepted_at'),
            next_attempt_at: row.ref('excluded.next_attempt_at'),
            merged_into: row.ref('excluded.merged_into'),
            // The earlier time stands while there is something to tell.
            report_due_at: row
              .case()
              .when('excluded.report_due_at', '>', row.ref('recipient.report_due_at'))
              .then(row.ref('recipient.report_due_at'))
              .else(row.ref('excluded.report_due_at'))
              .end(),
          })),
        ),
    ),
    /** The facts came after those who need them. */
    dateRecipients: db.prepare((query, param: Param<OfMessage & { acceptedAt: number }>) =>
      query
        .updateTable('recipient')
        .set({ accepted_at: param('acceptedAt') })
        .where('queue_id', '=', param('queueId'))
        .where('site', 'is not', null),
    ),
    lookUpMessage: db.prepare((query, param: Param<LookUpFields & { queue_id: string }>) =>
      query
        .updateTable('message')
        .set({
          accepted_hour: param('accepted_hour'),
          message_id_hash: param('message_id_hash'),
          sender_hash: param('sender_hash'),
        })
        .where('queue_id', '=', param('queue_id')),
    ),
    lookUpOriginals: db.prepare((query, param: Param<OfMessage & { hour: number }>) =>
      query
        .updateTable('original')
        .set({ accepted_hour: param('hour') })
        .where('queue_id', '=', param('queueId')),
    ),
    lookUpOriginal: db.prepare((query, param: Param<OfOriginal & { hash: number }>) =>
      query
        .updateTable('original')
        .set({ address_hash: param('hash') })
        .where('queue_id', '=', param('queueId'))
        .where('original', '=', param('original'))
        .where('address_hash', 'is', null),
    ),
    moveMessage: db.prepare((query, param: Param<OfMessage & { phase: number; unroutedDueAt: number | null }>) =>
      query
        .updateTable('message')
        .set({ phase: param('phase'), unrouted_due_at: param('unroutedDueAt') })
        .where('queue_id', '=', param('queueId')),
    ),
    putHistory: db.prepare((query, param: Param<Tables['history']>) =>
      query
        .insertInto('history')
        .values({
          queue_id: param('queue_id'),
          n: param('n'),
          ended: param('ended'),
          incarnation: param('incarnation'),
          attempt: param('attempt'),
          rank: param('rank'),
          at: param('at'),
          status: param('status'),
        })
        // The same news with two clocks: the earlier one, as among those that stand.
        .onConflict((conflict) =>
          conflict
            .columns(['queue_id', 'n', ...PLACE])
            .doUpdateSet((row) => ({ at: row.ref('excluded.at'), status: row.ref('excluded.status') }))
            .where(sql<boolean>`(excluded.at, history.status) < (history.at, excluded.status)`),
        ),
    ),
    countHistory: db.prepare((query, param: Param<OfRecipient>) =>
      query
        .selectFrom('history')
        .select((select) => select.fn.countAll<number>().as('count'))
        .where('queue_id', '=', param('queueId'))
        .where('n', '=', param('n')),
    ),
    historyAt: db.prepare((query, param: Param<OfRecipient & { index: number }>) =>
      query
        .selectFrom('history')
        .select(PLACE)
        .where('queue_id', '=', param('queueId'))
        .where('n', '=', param('n'))
        .orderBy('ended')
        .orderBy('incarnation')
        .orderBy('attempt')
        .orderBy('rank')
        .limit(1)
        .offset(param('index')),
    ),
    dropHistory: db.prepare((query, param: Param<Omit<Tables['history'], 'at' | 'status'>>) =>
      query
        .deleteFrom('history')
        .where('queue_id', '=', param('queue_id'))
        .where('n', '=', param('n'))
        .where('ended', '=', param('ended'))
        .where('incarnation', '=', param('incarnation'))
        .where('attempt', '=', param('attempt'))
        .where('rank', '=', param('rank')),
    ),
    copies: db.prepare((query, param: Param<OfRecipient>) =>
      query
        .selectFrom('recipient')
        .select(TRACKED)
        .where('queue_id', '=', param('queueId'))
        .where('merged_into', '=', param('n'))
        .where('merged_into', 'is not', null),
    ),
    setReportDue: db.prepare((query, param: Param<OfRecipient & { dueAt: number | null }>) =>
      query
        .updateTable('recipient')
        .set({ report_due_at: param('dueAt') })
        .where('queue_id', '=', param('queueId'))
        .where('n', '=', param('n')),
    ),
    /** Of a message: how many originals are routed, and (1 or 0) whether recipients are open, reports due, reports planned and not done. */
    pending: db.prepare((query, param: Param<OfMessage>) => {
      const originals = query.selectFrom('original').where('queue_id', '=', param('queueId'))
      const recipients = query.selectFrom('recipient').select('n').where('queue_id', '=', param('queueId'))
      const plans = query.selectFrom('report').select('queue_id').where('about', '=', param('queueId'))
      return query.selectNoFrom(({ fn }) => [
        originals.select(fn.countAll<number>().as('count')).where('routed', '=', 1).$asScalar().$notNull().as('routed'),
        anyOf(recipients.where('open', '=', sql.lit(1))).as('open'),
        anyOf(
          recipients.where('report_due_at', 'is not', null),
          originals.select('original').where('report_due_at', 'is not', null),
        ).as('due'),
        anyOf(plans.where('done_at', 'is', null)).as('planned'),
      ])
    }),
    /** Nothing more will come that could share the report. */
    hastenReports: db.prepare((query, param: Param<OfMessage & { now: number }>) =>
      query
        .updateTable('recipient')
        .set({ report_due_at: param('now') })
        .where('queue_id', '=', param('queueId'))
        .where('report_due_at', '>', param('now')),
    ),
    hastenExpansions: db.prepare((query, param: Param<OfMessage & { now: number }>) =>
      query
        .updateTable('original')
        .set({ report_due_at: param('now') })
        .where('queue_id', '=', param('queueId'))
        .where('report_due_at', '>', param('now')),
    ),
    setPhase: db.prepare((query, param: Param<OfMessage & { phase: number }>) =>
      query
        .updateTable('message')
        .set({ phase: param('phase') })
        .where('queue_id', '=', param('queueId')),
    ),
  }
}

/** 1 where one of the queries has a row, else 0: databases differ in what a truth is. */
function anyOf(...rows: Expression<unknown>[]) {
  const exist = rows.map((query) => sql`exists ${query}`)
  return sql<0 | 1>`case when ${sql.join(exist, sql` or `)} then 1 else 0 end`
}
