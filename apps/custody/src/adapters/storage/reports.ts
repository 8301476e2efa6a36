/** Plans of reports in the books: committed before anything of a report exists, done when it is in custody. */
import type { MailAccepted, MessageEntry, QueueId } from '@postbus/contracts'
import type { Database, Transaction } from '@postbus/sql'

import type { DueMessage, ReportedExpansion, ReportedRecipient, ReportPlan } from '../../report/plan.ts'
import { expansionOf } from '../../report/should-report.ts'
import { applyRecord, type Listing } from '../../tracking/sheet.ts'
import { entryIn, parsed, recipientIn, OF_RECIPIENT, trackedIn } from './rows.ts'
import { loadSheet, phaseOf, saveSheet, type SheetOptions, standing } from './sheets.ts'
import type { Statements } from './statements.ts'
import { REPORT_DUE, type Tables } from './tables.ts'

/** Of one message, decided about at once; a message with more needs more reports. */
const MAX_RECIPIENTS = 1000

export async function hasNews({ query }: Database<Tables>, now: Date): Promise<boolean> {
  for (const table of WITH_NEWS) {
    const row = await query
      .selectFrom(table)
      .select('queue_id')
      .where('report_due_at', '<=', now.getTime())
      .limit(1)
      .executeTakeFirst()
    if (row !== undefined) return true
  }
  return false
}

const WITH_NEWS = ['recipient', 'original'] as const

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
  const decided: QueueId[] = []
  for (const queueId of await messagesWithNews(transaction, now, limit)) {
    const message = await transaction.first(statements.message, { queueId })
    const entry = entryIn(message?.entry ?? null)
    const recipients = entry === null ? null : await newsOfMessage(transaction, statements, queueId, now)
    if (message === undefined || entry === null || recipients === null) {
      await postponeNews(transaction, queueId, now, options.overdueMs)
      continue
    }
    const { told, plain } = await expansionsOf(transaction, entry)
    const plans = decide({ entry, recipients: recipients.flatMap(({ news }) => news ?? []), expansions: told })
    for (const { n } of recipients) await settle(transaction, queueId, n, {})
    for (const index of [...plain, ...told.map(({ index }) => index)]) {
      await settleOriginal(transaction, queueId, index, {})
    }
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

/** Longest due first; as many of either kind as `limit`. */
async function messagesWithNews({ query }: Transaction<Tables>, now: Date, limit: number): Promise<Set<QueueId>> {
  const found = new Set<QueueId>()
  for (const table of WITH_NEWS) {
    const due = await query
      .selectFrom(table)
      .select('queue_id')
      .where('report_due_at', '<=', now.getTime())
      .orderBy('report_due_at')
      .limit(limit)
      .execute()
    for (const { queue_id } of due) found.add(queue_id as QueueId)
  }
  return found
}

interface Due {
  n: string
  /** Absent: what there is to tell of it is told of another. */
  news?: ReportedRecipient
}

/**
 * Ends are told of together, also those whose time has not come; a delay only when it is one. Null: it is not known yet what
 * the sender asked for.
 */
async function newsOfMessage(
  transaction: Transaction<Tables>,
  statements: Statements,
  queueId: QueueId,
  now: Date,
): Promise<Due[] | null> {
  const rows = await transaction.query
    .selectFrom('recipient')
    .leftJoin('original', (join) =>
      join.onRef('original.queue_id', '=', 'recipient.queue_id').onRef('original.original', '=', 'recipient.original'),
    )
    .select([...OF_RECIPIENT, 'original.recipient', 'recipient.report_due_at'])
    .where('recipient.queue_id', '=', queueId)
    .where('recipient.report_due_at', 'is not', null)
    .where(({ or, eb }) => or([eb('recipient.report_due_at', '<=', now.getTime()), eb('state', '!=', 'deferred')]))
    .orderBy('recipient.report_due_at')
    .orderBy('n')
    .limit(MAX_RECIPIENTS)
    .execute()
  const due: Due[] = []
  for (const row of rows) {
    const original = recipientIn(row.recipient)
    if (original === null) return null
    const tracked = await standing(transaction, statements, queueId, trackedIn(row))
    // A copy has no state of its own.
    if (tracked?.status?.kind === 'deferred' && (row.report_due_at ?? 0) > now.getTime()) continue
    due.push({ n: row.n, ...(tracked && { news: { original, tracked } }) })
  }
  return due
}

/** `told`: originals that turned out to be more than their one final recipient; `plain`: those that did not. */
async function expansionsOf(
  { query }: Transaction<Tables>,
  { queueId, reversePath }: MessageEntry,
): Promise<{ told: ReportedExpansion[]; plain: number[] }> {
  const rows = await query
    .selectFrom('original')
    .select(['original', 'recipient'])
    .where('queue_id', '=', queueId)
    .where('report_due_at', 'is not', null)
    .orderBy('original')
    .limit(MAX_RECIPIENTS)
    .execute()
  const told: ReportedExpansion[] = []
  const plain: number[] = []
  for (const { original: index, recipient } of rows) {
    const listed = await query
      .selectFrom('recipient')
      .select('listing')
      .where('queue_id', '=', queueId)
      .where('original', '=', index)
      .execute()
    const finals = listed.flatMap(({ listing }) => parsed<Listing>(listing)?.final ?? [])
    const action = expansionOf(finals, reversePath)
    const original = recipientIn(recipient)
    if (action === null || original === null) plain.push(index)
    else told.push({ index, original, action })
  }
  return { told, plain }
}

async function postponeNews({ query }: Transaction<Tables>, queueId: QueueId, now: Date, ms: number): Promise<void> {
  for (const table of WITH_NEWS) {
    await query
      .updateTable(table)
      .set({ report_due_at: now.getTime() + ms })
      .where('queue_id', '=', queueId)
      .where('report_due_at', '<=', now.getTime())
      .execute()
  }
}

async function commit(transaction: Transaction<Tables>, plan: ReportPlan): Promise<void> {
  const { queueId, entry, kind, recipients, expansions = [], plannedAt } = plan
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
  for (const { index } of expansions) await settleOriginal(transaction, entry.queueId, index, { report: queueId })
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

async function settleOriginal(
  { query }: Transaction<Tables>,
  queueId: QueueId,
  index: number,
  told: { report?: QueueId },
): Promise<void> {
  await query
    .updateTable('original')
    .set({ ...told, report_due_at: null })
    .where('queue_id', '=', queueId)
    .where('original', '=', index)
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
