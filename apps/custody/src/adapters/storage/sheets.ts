/** Loading the page of one message inside a transaction, and writing back what changed on it. */
import type { QueueId, Recipient, RecipientKey } from '@postbus/contracts'
import type { Transaction } from '@postbus/sql'

import { reportDueAt, type ReportTimes } from '../../report/report-due.ts'
import { emptySheet, pageKey, type Sheet, type Tracked } from '../../tracking/sheet.ts'
import { messageIn, messageRow, recipientIn, recipientRow, trackedIn } from './rows.ts'
import type { Statements } from './statements.ts'
import { BURIED, OPEN, REPORT_DUE, SETTLED, type Tables } from './tables.ts'

export interface SheetOptions extends ReportTimes {
  /** A message or recipient that did not move for this long is looked for. */
  overdueMs: number
}

interface Loaded {
  sheet: Sheet
  row: Tables['message'] | null
}

/** The message, and of its page the originals and recipients somebody is about to speak of. */
export async function loadSheet(
  transaction: Transaction<Tables>,
  statements: Statements,
  queueId: QueueId,
  originals: Iterable<number>,
  recipients: Iterable<RecipientKey> = [],
): Promise<Loaded | 'buried'> {
  const row = (await transaction.first(statements.message, { queueId })) ?? null
  if (row !== null && row.phase >= BURIED) return 'buried'
  // A page that was forgotten after its time is not begun again by a status that came late.
  if (row === null && (await transaction.first(statements.tombstone, { queueId })) !== undefined) return 'buried'

  const sheet = emptySheet(queueId)
  if (row === null) return { sheet, row }
  sheet.message = messageIn(row)
  for (const original of originals) {
    const found = await transaction.first(statements.original, { queueId, original })
    if (found === undefined) continue
    sheet.originals.set(original, { recipient: recipientIn(found.recipient), routed: found.routed === 1 })
    if (found.routed === 1) continue
    for (const page of await transaction.all(statements.pages, { queueId, original })) {
      sheet.pages.set(pageKey(page), page)
    }
  }
  for (const n of recipients) {
    const found = await transaction.first(statements.recipient, { queueId, n })
    if (found !== undefined) sheet.recipients.set(n, trackedIn(found))
  }
  return { sheet, row }
}

/** Writes what changed, then decides where the message as a whole stands now. */
export async function saveSheet(
  transaction: Transaction<Tables>,
  statements: Statements,
  { sheet, row }: Loaded,
  options: SheetOptions,
): Promise<void> {
  const { message, originals, pages, recipients, changed } = sheet
  const { queueId } = message
  const { overdueMs, now } = options
  for (const index of changed.originals) {
    const original = originals.get(index)
    if (!original) continue
    await transaction.run(statements.putOriginal, {
      queue_id: queueId,
      original: index,
      recipient: original.recipient === null ? null : JSON.stringify(original.recipient),
      routed: original.routed ? 1 : 0,
    })
  }
  for (const key of changed.pages) {
    const page = pages.get(key)
    if (page) await transaction.run(statements.putPage, { queue_id: queueId, ...page })
  }
  for (const n of changed.recipients) {
    const tracked = recipients.get(n)
    if (!tracked) continue
    const original = await originalOf(transaction, statements, sheet, tracked)
    const reportDue = reportDueAt(tracked, original, message.entry, options)
    await transaction.run(statements.putRecipient, recipientRow(queueId, tracked, overdueMs, reportDue))
  }

  const isRouted = await allRouted(transaction, statements, sheet)
  const phase = isRouted ? await phaseOf(transaction, statements, queueId, now()) : OPEN
  const unroutedDueAt = isRouted ? null : (row?.unrouted_due_at ?? now() + overdueMs)
  if (!changed.message && row?.phase === phase && row.unrouted_due_at === unroutedDueAt) return
  await transaction.run(statements.putMessage, {
    ...messageRow(message),
    phase,
    seen_at: row?.seen_at ?? now(),
    unrouted_due_at: unroutedDueAt,
    freed_at: null,
  })
}

async function allRouted(transaction: Transaction<Tables>, { routedOriginals }: Statements, sheet: Sheet) {
  const { queueId, originals } = sheet.message
  if (originals === null) return false
  return (await transaction.first(routedOriginals, { queueId }))?.count === originals
}

/** As the sender wrote it; null while that is not known. */
async function originalOf(
  transaction: Transaction<Tables>,
  statements: Statements,
  { message: { queueId }, originals }: Sheet,
  { listing, status }: Tracked,
): Promise<Recipient | null> {
  if (listing === null || status === null) return null
  const { original } = listing
  const known = originals.get(original)
  if (known) return known.recipient
  const row = await transaction.first(statements.original, { queueId, original })
  return recipientIn(row?.recipient ?? null)
}

/** Of a message all of whose recipients are known. */
export async function phaseOf(
  transaction: Transaction<Tables>,
  statements: Statements,
  queueId: QueueId,
  now: number,
): Promise<number> {
  if ((await transaction.first(statements.anyOpen, { queueId })) !== undefined) return OPEN
  if ((await transaction.first(statements.reportWaits, { queueId })) !== undefined) {
    await transaction.run(statements.hastenReports, { queueId, now })
    return REPORT_DUE
  }
  return (await transaction.first(statements.planWaits, { queueId })) === undefined ? SETTLED : REPORT_DUE
}
