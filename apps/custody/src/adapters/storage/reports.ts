/** Plans of reports in the books: committed before anything of a report exists, done when it is in custody. */
import type { MailAccepted, QueueId } from '@postbus/contracts'
import type { Database, Transaction } from '@postbus/sql'

import type { DueMessage, ReportedRecipient, ReportPlan } from '../../report/plan.ts'
import { applyRecord } from '../../tracking/sheet.ts'
import { entryIn, recipientIn, TRACKED, trackedIn } from './rows.ts'
import { loadSheet, phaseOf, saveSheet, type SheetOptions } from './sheets.ts'
import type { Statements } from './statements.ts'
import { REPORT_DUE, type Tables } from './tables.ts'

/** Of one message, decided about at once; a message with more needs more reports. */
const MAX_RECIPIENTS = 1000

export async function hasNews({ query }: Database<Tables>, now: Date): Promise<boolean> {
  const row = await query
    .selectFrom('recipient')
    .select('queue_id')
    .where('report_due_at', '<=', now.getTime())
    .limit(1)
    .executeTakeFirst()
  return row !== undefined
}

interface Planning {
  now: Date
  limit: number
  decide(due: DueMessage): readonly ReportPlan[]
}

export async function planReports(
  transaction: Transaction<Tables>,
  statements: Statements,
  options: SheetOptions,
  { now, limit, decide }: Planning,
): Promise<QueueId[]> {
  const { query } = transaction
  const due = await query
    .selectFrom('recipient')
    .select('queue_id')
    .where('report_due_at', '<=', now.getTime())
    .orderBy('report_due_at')
    .limit(limit)
    .execute()
  const decided: QueueId[] = []
  for (const queueId of new Set(due.map(({ queue_id }) => queue_id as QueueId))) {
    const message = await transaction.first(statements.message, { queueId })
    const entry = entryIn(message?.entry ?? null)
    const recipients = entry === null ? null : await newsOfMessage(transaction, queueId, now)
    if (message === undefined || entry === null || recipients === null) {
      await postponeNews(transaction, queueId, now, options.overdueMs)
      continue
    }
    const plans = decide({ entry, recipients })
    for (const { tracked } of recipients) await settle(transaction, queueId, tracked.n, {})
    for (const plan of plans) await commit(transaction, plan)
    if (message.phase === REPORT_DUE) {
      await transaction.run(statements.setPhase, {
        ...{ queueId, phase: await phaseOf(transaction, statements, queueId, now.getTime()) },
      })
    }
    decided.push(queueId)
  }
  return decided
}

/**
 * Ends are told of together, also those whose time has not come; a delay only when it is one. Null: it is not known yet what
 * the sender asked for.
 */
async function newsOfMessage(
  { query }: Transaction<Tables>,
  queueId: QueueId,
  now: Date,
): Promise<ReportedRecipient[] | null> {
  const rows = await query
    .selectFrom('recipient')
    .leftJoin('original', (join) =>
      join.onRef('original.queue_id', '=', 'recipient.queue_id').onRef('original.original', '=', 'recipient.original'),
    )
    .select([...TRACKED, 'original.recipient'])
    .where('recipient.queue_id', '=', queueId)
    .where('report_due_at', 'is not', null)
    .where(({ or, eb }) => or([eb('report_due_at', '<=', now.getTime()), eb('state', '!=', 'deferred')]))
    .orderBy('report_due_at')
    .orderBy('n')
    .limit(MAX_RECIPIENTS)
    .execute()
  const recipients: ReportedRecipient[] = []
  for (const row of rows) {
    const original = recipientIn(row.recipient)
    if (original === null) return null
    recipients.push({ original, tracked: trackedIn(row) })
  }
  return recipients
}

async function postponeNews({ query }: Transaction<Tables>, queueId: QueueId, now: Date, ms: number): Promise<void> {
  await query
    .updateTable('recipient')
    .set({ report_due_at: now.getTime() + ms })
    .where('queue_id', '=', queueId)
    .where('report_due_at', '<=', now.getTime())
    .execute()
}

async function commit(transaction: Transaction<Tables>, plan: ReportPlan): Promise<void> {
  const { queueId, entry, kind, recipients, plannedAt } = plan
  await transaction.query
    .insertInto('report')
    .values({
      queue_id: queueId,
      about: entry.queueId,
      plan: JSON.stringify(plan),
      due_at: Date.parse(plannedAt),
      done_at: null,
    })
    .execute()
  const told = kind === 'delay' ? { delay_report: queueId } : { report: queueId }
  for (const { tracked } of recipients) await settle(transaction, entry.queueId, tracked.n, told)
}

async function settle(
  { query }: Transaction<Tables>,
  queueId: QueueId,
  n: string,
  told: { report?: QueueId; delay_report?: QueueId },
): Promise<void> {
  await query
    .updateTable('recipient')
    .set({ ...told, report_due_at: null })
    .where('queue_id', '=', queueId)
    .where('n', '=', n)
    .execute()
}

export async function plannedReports(db: Database<Tables>, now: Date, limit: number): Promise<ReportPlan[]> {
  const rows = await db.query
    .selectFrom('report')
    .select('plan')
    .where('done_at', 'is', null)
    .where('due_at', '<=', now.getTime())
    .orderBy('due_at')
    .limit(limit)
    .execute()
  // Written by `commit` from a plan, so it is read without a second check.
  return rows.map(({ plan }) => JSON.parse(plan) as ReportPlan)
}

export async function postponeReport({ query }: Transaction<Tables>, queueId: QueueId, dueAt: Date): Promise<void> {
  await query.updateTable('report').set({ due_at: dueAt.getTime() }).where('queue_id', '=', queueId).execute()
}

export async function reported(
  transaction: Transaction<Tables>,
  statements: Statements,
  options: SheetOptions,
  { plan, accepted, at }: { plan: ReportPlan; accepted: MailAccepted; at: Date },
): Promise<void> {
  const { numUpdatedRows } = await transaction.query
    .updateTable('report')
    .set({ done_at: at.getTime() })
    .where('queue_id', '=', plan.queueId)
    .where('done_at', 'is', null)
    .executeTakeFirst()
  if (numUpdatedRows === 0n) return
  // From now on it is followed, and looked for, like any message.
  const loaded = await loadSheet(transaction, statements, plan.queueId, [0])
  if (loaded !== 'buried' && loaded.sheet.message.entry === null) {
    applyRecord(loaded.sheet, accepted)
    await saveSheet(transaction, statements, loaded, options)
  }
  const queueId = plan.entry.queueId
  const about = await transaction.first(statements.message, { queueId })
  if (about?.phase !== REPORT_DUE) return
  await transaction.run(statements.setPhase, {
    ...{ queueId, phase: await phaseOf(transaction, statements, queueId, at.getTime()) },
  })
}
