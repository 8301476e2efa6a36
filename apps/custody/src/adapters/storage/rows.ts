/** Rows and what they stand for. JSON in a row was written by us from a parsed value, so it is read without a second check. */
import type { MessageEntry, QueueId, Recipient, RecipientKey } from '@postbus/contracts'

import { expansionDueAt, type ReportTimes } from '../../report/report-due.ts'
import { dueAt } from '../../tracking/due.ts'
import type { RecipientStatus } from '../../tracking/order.ts'
import {
  isOpen,
  type Listing,
  type Original,
  stateOf,
  type Tracked,
  type TrackedMessage,
} from '../../tracking/sheet.ts'
import { hashOfAddress, hashOfMessageId, hourOf } from './hashes.ts'
import type { Tables } from './tables.ts'

export const parsed = <Value>(json: string | null): Value | null => (json === null ? null : (JSON.parse(json) as Value))
export const entryIn = (json: string | null): MessageEntry | null => parsed<MessageEntry>(json)
export const recipientIn = (json: string | null): Recipient | null => parsed<Recipient>(json)

const json = (value: unknown): string | null => (value === null ? null : JSON.stringify(value))

type MessageFields = Pick<Tables['message'], 'queue_id' | 'incarnation' | 'originals' | 'entry' | 'merges' | 'unread'>
export type LookUpFields = Pick<Tables['message'], 'accepted_hour' | 'message_id_hash' | 'sender_hash'>

export function messageIn(row: MessageFields): TrackedMessage {
  const { incarnation, originals, merges, unread } = row
  return {
    queueId: row.queue_id as QueueId,
    entry: entryIn(row.entry),
    ...{ originals, incarnation, merges, unread: unread === 1 },
  }
}

export function messageRow(message: TrackedMessage): MessageFields {
  const { queueId, entry, originals, incarnation, merges, unread } = message
  return {
    ...{ queue_id: queueId, entry: json(entry), originals, incarnation },
    ...{ merges, unread: unread ? 1 : 0 },
  }
}

export function lookUpFields(entry: MessageEntry | null): LookUpFields {
  if (entry === null) return { accepted_hour: null, message_id_hash: null, sender_hash: null }
  const { acceptedAt, messageId, reversePath } = entry
  return {
    accepted_hour: hourOf(acceptedAt),
    message_id_hash: messageId === undefined ? null : hashOfMessageId(messageId),
    sender_hash: hashOfAddress(reversePath),
  }
}

type OriginalFields = Omit<Tables['original'], 'queue_id' | 'original' | 'accepted_hour' | 'address_hash'>

export function originalIn({ recipient, routed, named, report, report_due_at }: OriginalFields): Original {
  return {
    ...{ recipient: recipientIn(recipient), routed: routed === 1, named },
    ...{ report: report as QueueId | null, reportDueAt: report_due_at },
  }
}

export function originalRow(
  { queueId, entry }: Pick<TrackedMessage, 'queueId' | 'entry'>,
  index: number,
  original: Original,
  times: Pick<ReportTimes, 'gatherMs' | 'now'>,
): Tables['original'] {
  const { recipient, routed, named, report } = original
  return {
    ...{ queue_id: queueId, original: index, recipient: json(recipient), routed: routed ? 1 : 0, named },
    accepted_hour: entry === null ? null : hourOf(entry.acceptedAt),
    address_hash: recipient === null ? null : hashOfAddress(recipient.forwardPath),
    ...{ report, report_due_at: expansionDueAt(original, times) },
  }
}

export const TRACKED = ['n', 'listing', 'status', 'first_attempt_at', 'report', 'delay_report'] as const
/** The same where other tables are joined. */
export const OF_RECIPIENT = TRACKED.map((column) => `recipient.${column}` as const)
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
  { queueId, entry }: Pick<TrackedMessage, 'queueId' | 'entry'>,
  tracked: Tracked,
  overdueMs: number,
  reportDue: number | null,
): Tables['recipient'] {
  const destination = tracked.listing?.final.destination
  const queued = destination?.kind === 'remote' && isOpen(tracked)
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
    site: queued ? destination.site : null,
    accepted_at: queued && entry !== null ? Date.parse(entry.acceptedAt) : null,
    next_attempt_at: queued && tracked.status?.kind === 'deferred' ? Date.parse(tracked.status.nextAttemptAt) : null,
    merged_into: destination?.kind === 'merged' ? destination.into : null,
  }
}
