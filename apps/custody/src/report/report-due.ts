/** When a recipient is looked at by whoever plans reports. */
import type { MessageEntry, Recipient } from '@postbus/contracts'

import type { Tracked } from '../tracking/sheet.ts'
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
  if (known && whyUnreported(news, tracked.listing.final.reversePath, original, entry) !== null) return null
  if (news !== 'delay') return now() + gatherMs
  return (entry === null ? now() : Date.parse(entry.acceptedAt)) + delayMs
}
