/** Loading the page of one message inside a transaction, and writing back what changed on it. */
import type { QueueId, Recipient, RecipientKey } from '@postbus/contracts'
import type { Transaction } from '@postbus/sql'

import { reportDueAt, type ReportTimes } from '../../report/report-due.ts'
import { placeInOrder, type RecipientStatus } from '../../tracking/order.ts'
import { emptySheet, isToldWith, pageKey, type Sheet, type Tracked, withFateOf } from '../../tracking/sheet.ts'
import { hourOf } from './hashes.ts'
import {
  lookUpFields,
  messageIn,
  messageRow,
  originalIn,
  originalRow,
  recipientIn,
  recipientRow,
  trackedIn,
} from './rows.ts'
import type { Statements } from './statements.ts'
import { BURIED, OPEN, REPORT_DUE, SETTLED, type Tables } from './tables.ts'

export interface SheetOptions extends ReportTimes {
  /** A message or recipient that did not move for this long is looked for. */
  overdueMs: number
  /** Statuses that no longer stand, kept per recipient: the first and the last of them. */
  historyKept: number
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
    sheet.originals.set(original, originalIn(found))
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
  const { queueId, entry } = message
  const { overdueMs, now } = options
  for (const index of changed.originals) {
    const original = originals.get(index)
    if (!original) continue
    const values = originalRow(message, index, original, options)
    await transaction.run(statements.putOriginal, values)
    if (row !== null && values.address_hash !== null) {
      await transaction.run(statements.lookUpOriginal, { queueId, original: index, hash: values.address_hash })
    }
  }
  for (const key of changed.pages) {
    const page = pages.get(key)
    if (page) await transaction.run(statements.putPage, { queue_id: queueId, ...page })
  }
  for (const n of changed.recipients) {
    const tracked = recipients.get(n)
    if (!tracked) continue
    const original = await originalOf(transaction, statements, sheet, tracked)
    const reportDue = reportDueAt(tracked, original, entry, options)
    await transaction.run(statements.putRecipient, recipientRow(message, tracked, overdueMs, reportDue))
  }
  for (const status of changed.superseded) await keepStatus(transaction, statements, status, options)
  if (message.merges > 0) await tellCopies(transaction, statements, sheet, options)
  if (entry !== null && row !== null && row.entry === null) {
    await transaction.run(statements.dateRecipients, { queueId, acceptedAt: Date.parse(entry.acceptedAt) })
    await transaction.run(statements.lookUpOriginals, { queueId, hour: hourOf(entry.acceptedAt) })
    await transaction.run(statements.lookUpMessage, { queue_id: queueId, ...lookUpFields(entry) })
  }

  const pending = await pendingOf(transaction, statements, queueId)
  const isRouted = pending.routed === message.originals
  const phase = isRouted ? await phaseIn(pending, transaction, statements, queueId, now()) : OPEN
  const unroutedDueAt = isRouted ? null : (row?.unrouted_due_at ?? now() + overdueMs)
  if (!changed.message && row !== null) {
    if (row.phase === phase && row.unrouted_due_at === unroutedDueAt) return
    await transaction.run(statements.moveMessage, { queueId, phase, unroutedDueAt })
    return
  }
  await transaction.run(statements.putMessage, {
    ...messageRow(message),
    ...lookUpFields(entry),
    phase,
    seen_at: row?.seen_at ?? now(),
    unrouted_due_at: unroutedDueAt,
    freed_at: null,
  })
}

/** Once each, whatever the order they come in; of too many the middle goes. */
async function keepStatus(
  transaction: Transaction<Tables>,
  { putHistory, countHistory, historyAt, dropHistory }: Statements,
  status: RecipientStatus,
  { historyKept }: SheetOptions,
): Promise<void> {
  const { queueId, n, at } = status
  const of = { queue_id: queueId, n }
  await transaction.run(putHistory, { ...of, ...placeInOrder(status), at, status: JSON.stringify(status) })
  const kept = await transaction.first(countHistory, { queueId, n })
  if ((kept?.count ?? 0) <= historyKept) return
  const middle = await transaction.first(historyAt, { queueId, n, index: Math.ceil(historyKept / 2) })
  if (middle) await transaction.run(dropHistory, { ...of, ...middle })
}

/** Who was merged into a recipient is told of, or about, when that one is. */
async function tellCopies(
  transaction: Transaction<Tables>,
  statements: Statements,
  { message: { queueId, entry }, recipients, changed }: Sheet,
  options: SheetOptions,
): Promise<void> {
  const copies = new Map<RecipientKey, Tracked>()
  for (const n of changed.recipients) {
    const tracked = recipients.get(n)
    if (tracked?.listing?.final.destination.kind === 'merged') copies.set(n, tracked)
    for (const copy of await transaction.all(statements.copies, { queueId, n })) {
      copies.set(copy.n as RecipientKey, trackedIn(copy))
    }
  }
  for (const copy of copies.values()) {
    const told = await standing(transaction, statements, queueId, copy)
    if (told === null || told.listing === null) continue
    const original = await transaction.first(statements.original, { queueId, original: told.listing.original })
    const dueAt = reportDueAt(told, recipientIn(original?.recipient ?? null), entry, options)
    await transaction.run(statements.setReportDue, { queueId, n: copy.n, dueAt })
  }
}

/** A merged recipient with what became of the one in its place; null: nobody but that one need be told of. */
export async function standing(
  transaction: Transaction<Tables>,
  { recipient }: Statements,
  queueId: QueueId,
  tracked: Tracked,
): Promise<Tracked | null> {
  const destination = tracked.listing?.final.destination
  if (destination?.kind !== 'merged') return tracked
  const row = await transaction.first(recipient, { queueId, n: destination.into })
  if (row === undefined) return null
  const first = trackedIn(row)
  return isToldWith(tracked, first) ? null : withFateOf(tracked, first)
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

/** What is still to come of a message. */
async function pendingOf(transaction: Transaction<Tables>, { pending }: Statements, queueId: QueueId) {
  const row = await transaction.first(pending, { queueId })
  if (row === undefined) throw new Error('a SELECT without FROM has one row')
  return row
}

/** Of a message all of whose recipients are known. */
export async function phaseOf(
  transaction: Transaction<Tables>,
  statements: Statements,
  queueId: QueueId,
  now: number,
): Promise<number> {
  return phaseIn(await pendingOf(transaction, statements, queueId), transaction, statements, queueId, now)
}

async function phaseIn(
  { open, due, planned }: Awaited<ReturnType<typeof pendingOf>>,
  transaction: Transaction<Tables>,
  { hastenReports, hastenExpansions }: Statements,
  queueId: QueueId,
  now: number,
): Promise<number> {
  if (open) return OPEN
  if (due) {
    await transaction.run(hastenReports, { queueId, now })
    await transaction.run(hastenExpansions, { queueId, now })
  }
  return due || planned ? REPORT_DUE : SETTLED
}
