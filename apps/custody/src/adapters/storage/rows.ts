/** Rows and what they stand for. JSON in a row was written by us from a parsed value, so it is read without a second check. */
import type { MessageEntry, QueueId, Recipient, RecipientKey } from '@postbus/contracts'

import { dueAt } from '../../tracking/due.ts'
import type { RecipientStatus } from '../../tracking/order.ts'
import { isOpen, type Listing, stateOf, type Tracked, type TrackedMessage } from '../../tracking/sheet.ts'
import type { Tables } from './tables.ts'

export const parsed = <Value>(json: string | null): Value | null => (json === null ? null : (JSON.parse(json) as Value))
export const entryIn = (json: string | null): MessageEntry | null => parsed<MessageEntry>(json)
export const recipientIn = (json: string | null): Recipient | null => parsed<Recipient>(json)

const json = (value: unknown): string | null => (value === null ? null : JSON.stringify(value))

type MessageFields = Pick<Tables['message'], 'queue_id' | 'incarnation' | 'originals' | 'entry'>

export function messageIn(row: MessageFields): TrackedMessage {
  const { incarnation, originals } = row
  return { queueId: row.queue_id as QueueId, entry: entryIn(row.entry), originals, incarnation }
}

export function messageRow({ queueId, entry, originals, incarnation }: TrackedMessage): MessageFields {
  return { queue_id: queueId, entry: json(entry), originals, incarnation }
}

export const TRACKED = ['n', 'listing', 'status', 'first_attempt_at', 'report', 'delay_report'] as const
type RecipientFields = Pick<Tables['recipient'], (typeof TRACKED)[number]>

export function trackedIn(row: RecipientFields): Tracked {
  return {
    n: row.n as RecipientKey,
    listing: parsed<Listing>(row.listing),
    status: parsed<RecipientStatus>(row.status),
    firstAttemptAt: row.first_attempt_at,
    report: row.report as QueueId | null,
    delayReport: row.delay_report as QueueId | null,
  }
}

export function recipientRow(
  queueId: QueueId,
  tracked: Tracked,
  overdueMs: number,
  reportDue: number | null,
): Tables['recipient'] {
  return {
    queue_id: queueId,
    n: tracked.n,
    original: tracked.listing?.original ?? null,
    listing: json(tracked.listing),
    status: json(tracked.status),
    first_attempt_at: tracked.firstAttemptAt,
    state: stateOf(tracked),
    open: isOpen(tracked) ? 1 : 0,
    due_at: dueAt(tracked, overdueMs)?.getTime() ?? null,
    report: tracked.report,
    delay_report: tracked.delayReport,
    report_due_at: reportDue,
  }
}
