/**
 * Which reports a message needs now. A plan holds everything its report is made from, so that a report that is written again
 * after a crash is the same one, under the same queue id.
 *
 * STANDARDS  RFC 3464 §2; RFC 3461 §6
 */
import { createHash } from 'node:crypto'

import { type MessageEntry, QueueId, type Recipient } from '@postbus/contracts'

import type { Tracked } from '../tracking/sheet.ts'
import { newsOf, type ReportKind, whyUnreported } from './should-report.ts'

export interface ReportedRecipient {
  /** As the sender wrote it. */
  original: Recipient
  /** As it stood when the report was planned. */
  tracked: Tracked
}

/** A message with news for its sender, or for the owner of a list it went to. */
export interface DueMessage {
  entry: MessageEntry
  recipients: readonly ReportedRecipient[]
}

export interface ReportPlan {
  /** Of the report. */
  queueId: QueueId
  kind: ReportKind
  /** The message it is about. */
  entry: MessageEntry
  /** Who is told: the reverse-path the recipients' tasks had. */
  to: string
  recipients: readonly ReportedRecipient[]
  plannedAt: string
  /** Our names at that time. */
  from: string
  reportingMta: string
}

export type ReporterNames = Pick<ReportPlan, 'from' | 'reportingMta'>

/** One per kind of news and person to tell. Recipients in no plan need no report. */
export function planReports({ entry, recipients }: DueMessage, now: Date, names: ReporterNames): ReportPlan[] {
  const plans = new Map<string, ReportPlan & { recipients: ReportedRecipient[] }>()
  for (const recipient of recipients) {
    const { original, tracked } = recipient
    const kind = newsOf(tracked)
    const to = tracked.listing?.final.reversePath
    if (kind === null || to === undefined || whyUnreported(kind, to, original, entry) !== null) continue
    const key = `${kind}\0${to}`
    const plan = plans.get(key)
    if (plan) plan.recipients.push(recipient)
    else {
      plans.set(key, {
        ...{ queueId: entry.queueId, kind, entry, to },
        ...names,
        plannedAt: now.toISOString(),
        recipients: [recipient],
      })
    }
  }
  return [...plans.values()].map((plan) => ({ ...plan, queueId: reportId(plan) }))
}

/** Crockford's base 32, as every queue id. */
const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ'
const LENGTH = 26

/** The same recipients and news of the same message are the same report, whoever plans it. */
function reportId({ entry, kind, to, recipients }: Pick<ReportPlan, 'entry' | 'kind' | 'to' | 'recipients'>): QueueId {
  const keys = recipients.map(({ tracked }) => tracked.n).toSorted()
  const hash = createHash('sha256')
    .update([entry.queueId, kind, to, ...keys].join('\0'))
    .digest()
  return QueueId.parse(Array.from({ length: LENGTH }, (_, index) => ALPHABET[(hash[index] ?? 0) & 31]).join(''))
}
