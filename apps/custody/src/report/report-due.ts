/** When a recipient is looked at by whoever plans reports. */
import type { MessageEntry, Recipient } from '@postbus/contracts'

import type { Original, Tracked } from '../tracking/sheet.ts'
import { newsOf, whyUnreported } from './should-report.ts'

export interface ReportTimes {
  /** Ends of one message that come this soon after each other share a report. */
  gatherMs: number
  /** From acceptance until the sender hears that a message is late; 0: never. */
  delayMs: number
  now(): number
}

/**
 * Null: there is nothing to tell, or nobody who wants to hear it. While the facts are not known there may be.
 * @param original as the sender wrote it
 */
export function reportDueAt(
  tracked: Tracked,
  original: Recipient | null,
  entry: MessageEntry | null,
  { gatherMs, delayMs, now }: ReportTimes,
): number | null {
  const news = newsOf(tracked)
  if (news === null || tracked.listing === null || (news === 'delay' && delayMs === 0)) return null
  const known = original !== null && entry !== null
  if (known && whyUnreported(news, tracked.listing.final, original, entry) !== null) return null
  if (news !== 'delay') return now() + gatherMs
  return (entry === null ? now() : Date.parse(entry.acceptedAt)) + delayMs
}

/** The same for an original recipient that may stand for others, or for a list: as soon as it is known, where SUCCESS was asked for. */
export function expansionDueAt(
  { recipient, routed, report, reportDueAt }: Original,
  { gatherMs, now }: Pick<ReportTimes, 'gatherMs' | 'now'>,
): number | null {
  if (!routed || report !== null || recipient?.notify?.includes('SUCCESS') !== true) return null
  return reportDueAt ?? now() + gatherMs
}
