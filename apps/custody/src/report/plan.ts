/**
 * Which reports a message needs now. A plan holds everything its report is made from, so that a report that is written again
 * after a crash is the same one, under the same queue id.
 *
 * STANDARDS  RFC 3464 §2; RFC 3461 §5.2.7, §6
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

/** An original recipient that stands for others, or for a list. */
export interface ReportedExpansion {
  /** Its index in the envelope. */
  index: number
  original: Recipient
  action: 'expanded' | 'delivered'
}

/** A message with news for its sender, or for the owner of a list it went to. */
export interface DueMessage {
  entry: MessageEntry
  recipients: readonly ReportedRecipient[]
  expansions: readonly ReportedExpansion[]
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
  /** Plans of an earlier version have none. */
  expansions?: readonly ReportedExpansion[]
  plannedAt: string
  /** Our names at that time. */
  from: string
  reportingMta: string
}

export type ReporterNames = Pick<ReportPlan, 'from' | 'reportingMta'>

type Draft = ReportPlan & { recipients: ReportedRecipient[]; expansions: ReportedExpansion[] }

/** One per kind of news and person to tell. What is in no plan needs no report. */
export function planReports(
  { entry, recipients, expansions }: DueMessage,
  now: Date,
  names: ReporterNames,
): ReportPlan[] {
  const drafts = new Map<string, Draft>()
  const draft = (kind: ReportKind, to: string): Draft => {
    const key = `${kind}\0${to}`
    const known = drafts.get(key)
    if (known) return known
    const begun = {
      ...{ queueId: entry.queueId, kind, entry, to },
      ...names,
      ...{ plannedAt: now.toISOString(), recipients: [], expansions: [] },
    }
    drafts.set(key, begun)
    return begun
  }

  for (const recipient of recipients) {
    const { original, tracked } = recipient
    const kind = newsOf(tracked)
    const final = tracked.listing?.final
    if (kind === null || final === undefined || whyUnreported(kind, final, original, entry) !== null) continue
    draft(kind, final.reversePath).recipients.push(recipient)
  }
  for (const expansion of expansions) {
    if (whyUnreported('success', entry, expansion.original, entry) !== null) continue
    draft('success', entry.reversePath).expansions.push(expansion)
  }
  return [...drafts.values()].map((plan) => ({ ...plan, queueId: reportId(plan) }))
}

/** Crockford's base 32, as every queue id. */
const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ'
const LENGTH = 26

/** The same recipients and news of the same message are the same report, whoever plans it. */
function reportId({ entry, kind, to, recipients, expansions }: Draft): QueueId {
  const keys = [
    ...recipients.map(({ tracked }) => tracked.n),
    ...expansions.map(({ index }) => String(index)),
  ].toSorted()
  const hash = createHash('sha256')
    .update([entry.queueId, kind, to, ...keys].join('\0'))
    .digest()
  return QueueId.parse(Array.from({ length: LENGTH }, (_, index) => ALPHABET[(hash[index] ?? 0) & 31]).join(''))
}
