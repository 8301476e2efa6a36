/** The books in SQL tables. Everything is asked in pages along an index, so that a million open recipients cost no more at once. */
import type { MailAccepted, QueueId, Status } from '@postbus/contracts'
import type { Database, Transaction } from '@postbus/sql'
import { sql } from 'kysely'

import type { DueMessage, ReportPlan } from '../../report/plan.ts'
import {
  type Books,
  type BooksWriter,
  type Note,
  type Overdue,
  type OverdueMessage,
  Superseded,
} from '../../tracking/books.ts'
import { applyRecord, applyStatus, originalsIn, recipientsIn } from '../../tracking/sheet.ts'
import type { KnownStream } from '../../reconcile/census.ts'
import { noteStreams } from './census.ts'
import { readingBooks } from './reading.ts'
import { hasNews, planReports, plannedReports, postponeReport, reported } from './reports.ts'
import { entryIn, OF_RECIPIENT, recipientIn, trackedIn } from './rows.ts'
import { loadSheet, saveSheet, type SheetOptions } from './sheets.ts'
import { type Statements, statements } from './statements.ts'
import { BURIED, FREED, SETTLED, type Tables } from './tables.ts'

export type BooksOptions = SheetOptions

export function sqlBooks(db: Database<Tables>, options: BooksOptions): Books {
  return {
    ...readingBooks(db),
    async lead(revision) {
      const epoch = await db.transaction(async ({ query }) => {
        const row = await query
          .updateTable('leadership')
          .set((column) => ({ epoch: sql`${column.ref('epoch')} + 1`, lease_revision: revision }))
          .returning('epoch')
          .executeTakeFirstOrThrow()
        return row.epoch
      })
      return new SqlBooksWriter(db, epoch, options)
    },
    close: () => db.close(),
  }
}

class SqlBooksWriter implements BooksWriter {
  readonly #db: Database<Tables>
  readonly #epoch: number
  readonly #options: BooksOptions
  readonly #statements: Statements

  constructor(db: Database<Tables>, epoch: number, options: BooksOptions) {
    this.#db = db
    this.#epoch = epoch
    this.#options = options
    this.#statements = statements(db)
  }

  /** Every write begins by finding out whether we still are the one who writes. */
  #write<Result>(work: (transaction: Transaction<Tables>) => Promise<Result>): Promise<Result> {
    return this.#db.transaction(async (transaction) => {
      const leader = await transaction.first(this.#statements.epoch, {})
      if (leader?.epoch !== this.#epoch) throw new Superseded(`epoch ${leader?.epoch} leads, this is ${this.#epoch}`)
      return work(transaction)
    })
  }

  record(statuses: readonly Status[]): Promise<QueueId[]> {
    return this.#write(async (transaction) => {
      const changed: QueueId[] = []
      for (const [queueId, group] of Map.groupBy(statuses, (status) => status.queueId)) {
        const loaded = await loadSheet(transaction, this.#statements, queueId, originalsIn(group), recipientsIn(group))
        if (loaded === 'buried') continue
        for (const status of group) applyStatus(loaded.sheet, status)
        const { message, originals, pages, recipients, superseded } = loaded.sheet.changed
        const changes = originals.size + pages.size + recipients.size + superseded.length
        if (!message && changes === 0 && loaded.row !== null) continue
        await saveSheet(transaction, this.#statements, loaded, this.#options)
        changed.push(queueId)
      }
      return changed
    })
  }

  async adopt(records: readonly MailAccepted[]): Promise<void> {
    const unknown = await this.#withoutEntry(records)
    if (unknown.length === 0) return
    await this.#write(async (transaction) => {
      for (const accepted of unknown) {
        const { queueId, envelope } = accepted
        const loaded = await loadSheet(transaction, this.#statements, queueId, [...envelope.recipients.keys()])
        if (loaded === 'buried' || loaded.sheet.message.entry !== null) continue
        applyRecord(loaded.sheet, accepted)
        // Whoever looks into the spool has waited already.
        await saveSheet(transaction, this.#statements, loaded, { ...this.#options, overdueMs: 0 })
      }
    })
  }

  /** Nearly all records of a spool are known: found out by reading, so that no writer waits for it. */
  async #withoutEntry(records: readonly MailAccepted[]): Promise<MailAccepted[]> {
    const ids = records.map(({ queueId }) => queueId)
    if (ids.length === 0) return []
    const rows = await this.#db.query
      .selectFrom('message')
      .select('queue_id')
      .where('queue_id', 'in', ids)
      .where('entry', 'is not', null)
      .execute()
    const known = new Set(rows.map(({ queue_id }) => queue_id))
    return records.filter(({ queueId }) => !known.has(queueId))
  }

  hasNews(now: Date): Promise<boolean> {
    return hasNews(this.#db, now)
  }

  planReports(now: Date, limit: number, decide: (due: DueMessage) => readonly ReportPlan[]): Promise<QueueId[]> {
    return this.#write((transaction) =>
      planReports(transaction, this.#statements, this.#options, { now, limit, decide }),
    )
  }

  plannedReports(now: Date, limit: number): Promise<ReportPlan[]> {
    return plannedReports(this.#db, now, limit)
  }

  postponeReport(queueId: QueueId, dueAt: Date): Promise<void> {
    return this.#write((transaction) => postponeReport(transaction, queueId, dueAt))
  }

  reported(plan: ReportPlan, accepted: MailAccepted, at: Date): Promise<void> {
    return this.#write((transaction) => reported(transaction, this.#statements, this.#options, { plan, accepted, at }))
  }

  readReport(report: QueueId, notes: readonly Note[], kept: number): Promise<void> {
    return this.#write(async ({ query }) => {
      for (const { queueId, n, later } of notes) {
        const { count } = await query
          .selectFrom('later_report')
          .select((select) => select.fn.countAll<number>().as('count'))
          .where('queue_id', '=', queueId)
          .where('n', '=', n)
          .executeTakeFirstOrThrow()
        if (count >= kept) continue
        await query
          .insertInto('later_report')
          .columns(['queue_id', 'n', 'report', 'at', 'note'])
          // Pages are forgotten in time: a note about one that is gone would stay for ever.
          .expression((select) =>
            select
              .selectFrom('recipient')
              .select(['queue_id', 'n'])
              .select((eb) => [
                eb.val<string>(report).as('report'),
                eb.val(later.at).as('at'),
                eb.val(JSON.stringify(later)).as('note'),
              ])
              .where('queue_id', '=', queueId)
              .where('n', '=', n),
          )
          .onConflict((conflict) => conflict.doNothing())
          .execute()
      }
      await query.updateTable('message').set({ unread: 0 }).where('queue_id', '=', report).execute()
    })
  }

  bury(limit: number): Promise<QueueId[]> {
    return this.#write(async ({ query }) => {
      const waiting = await query
        .selectFrom('tombstone')
        .select('queue_id')
        .where('freed_at', 'is', null)
        .orderBy('queue_id')
        .limit(limit)
        .execute()
      const settled = await query
        .selectFrom('message')
        .select('queue_id')
        .where('phase', '=', sql.lit(SETTLED))
        .where('phase', '<', sql.lit(FREED))
        .where('unread', '=', 0)
        // As long as its plan is not noted as done, a report may be put once more: not beside one that is gone.
        .where(({ not, exists, selectFrom }) =>
          not(
            exists(
              selectFrom('report')
                .select('report.queue_id')
                .whereRef('report.queue_id', '=', 'message.queue_id')
                .where('done_at', 'is', null),
            ),
          ),
        )
        .orderBy('queue_id')
        .limit(limit - waiting.length)
        .execute()
      const buriedAt = this.#options.now()
      if (settled.length > 0) {
        await query
          .insertInto('tombstone')
          .values(settled.map(({ queue_id }) => ({ queue_id, buried_at: buriedAt, freed_at: null })))
          .execute()
        await query
          .updateTable('message')
          .set({ phase: BURIED })
          .where(
            'queue_id',
            'in',
            settled.map(({ queue_id }) => queue_id),
          )
          .execute()
      }
      return [...waiting, ...settled].map(({ queue_id }) => queue_id as QueueId)
    })
  }

  freed(queueIds: readonly QueueId[], at: Date): Promise<void> {
    return this.#write(async ({ query }) => {
      if (queueIds.length === 0) return
      const freedAt = { freed_at: at.getTime() }
      await query.updateTable('tombstone').set(freedAt).where('queue_id', 'in', queueIds).execute()
      await query
        .updateTable('message')
        .set({ ...freedAt, phase: FREED })
        .where('queue_id', 'in', queueIds)
        .execute()
    })
  }

  prune(freedBefore: Date, buriedBefore: Date, limit: number): Promise<number> {
    return this.#write(async ({ query }) => {
      const messages = await query
        .selectFrom('message')
        .select('queue_id')
        .where('freed_at', '<', freedBefore.getTime())
        .orderBy('freed_at')
        .limit(limit)
        .execute()
      const ids = messages.map(({ queue_id }) => queue_id)
      if (ids.length > 0) {
        for (const table of ['message', 'original', 'routed_page', 'recipient', 'history', 'later_report'] as const) {
          await query.deleteFrom(table).where('queue_id', 'in', ids).execute()
        }
        await query.deleteFrom('report').where('about', 'in', ids).execute()
      }
      const tombstones = await query
        .selectFrom('tombstone')
        .select('queue_id')
        .where('freed_at', 'is not', null)
        .where('buried_at', '<', buriedBefore.getTime())
        .orderBy('buried_at')
        .limit(limit)
        .execute()
      const old = tombstones.map(({ queue_id }) => queue_id)
      if (old.length > 0) await query.deleteFrom('tombstone').where('queue_id', 'in', old).execute()
      return ids.length + old.length
    })
  }

  async overdueMessages(now: Date, limit: number): Promise<OverdueMessage[]> {
    const rows = await this.#db.query
      .selectFrom('message')
      .select(['queue_id', 'incarnation', 'entry', 'seen_at'])
      .where('unrouted_due_at', '<=', now.getTime())
      .orderBy('unrouted_due_at')
      .limit(limit)
      .execute()
    return rows.map(({ queue_id, incarnation, entry, seen_at }) => ({
      queueId: queue_id as QueueId,
      incarnation,
      origin: entryIn(entry)?.origin ?? null,
      seenAt: new Date(seen_at),
    }))
  }

  async overdueRecipients(now: Date, limit: number): Promise<Overdue[]> {
    const rows = await this.#db.query
      .selectFrom('recipient')
      .innerJoin('message', 'message.queue_id', 'recipient.queue_id')
      .innerJoin('original', (join) =>
        join
          .onRef('original.queue_id', '=', 'recipient.queue_id')
          .onRef('original.original', '=', 'recipient.original'),
      )
      .select(['recipient.queue_id', ...OF_RECIPIENT])
      .select(['message.entry', 'message.incarnation', 'original.recipient'])
      .where('due_at', '<=', now.getTime())
      // Where the facts are missing the message is overdue as a whole.
      .where('message.entry', 'is not', null)
      .where('original.recipient', 'is not', null)
      .orderBy('due_at')
      .limit(limit)
      .execute()
    return rows.flatMap((row) => {
      const entry = entryIn(row.entry)
      const original = recipientIn(row.recipient)
      if (entry === null || original === null) return []
      const { incarnation } = row
      return [{ queueId: row.queue_id as QueueId, entry, incarnation, original, tracked: trackedIn(row) }]
    })
  }

  postponeMessages(queueIds: readonly QueueId[], dueAt: Date): Promise<void> {
    return this.#write(async ({ query }) => {
      if (queueIds.length === 0) return
      await query
        .updateTable('message')
        .set({ unrouted_due_at: dueAt.getTime() })
        .where('queue_id', 'in', queueIds)
        .where('unrouted_due_at', 'is not', null)
        .execute()
    })
  }

  postponeRecipients(recipients: readonly { queueId: QueueId; n: string }[], dueAt: Date): Promise<void> {
    return this.#write(async ({ query }) => {
      for (const { queueId, n } of recipients) {
        await query
          .updateTable('recipient')
          .set({ due_at: dueAt.getTime() })
          .where('queue_id', '=', queueId)
          .where('n', '=', n)
          .where('due_at', 'is not', null)
          .execute()
      }
    })
  }

  noteStreams(streams: readonly KnownStream[]): Promise<void> {
    return this.#write((transaction) => noteStreams(transaction, streams))
  }

  raiseIncarnation(queueId: QueueId, from: number): Promise<number | null> {
    return this.#write(async ({ query }) => {
      const { numUpdatedRows } = await query
        .updateTable('message')
        .set({ incarnation: from + 1 })
        .where('queue_id', '=', queueId)
        .where('incarnation', '=', from)
        .where('phase', '<', BURIED)
        .executeTakeFirst()
      return numUpdatedRows === 1n ? from + 1 : null
    })
  }
}
