/**
 * When to try again: each pause twice the one before, up to a bound, spread so that what failed together does not come back
 * together; the first few times sooner for a peer that greylists, and not before the time a peer names.
 *
 * STANDARDS  RFC 5321 §4.5.4.1 (at least 30 minutes on average once the first tries failed; give up after 4 to 5 days), RFC 6647
 */
import type { Retry } from './classify.ts'

export interface RetrySchedule {
  firstMs: number
  longestMs: number
  /** 0.2: between 80 % and 120 % of the pause. */
  jitter: number
  /** Pause after greylisting, and the shortest one a peer can talk us into. */
  soonMs: number
  /** Later attempts than this keep to the schedule: what asks for ever for "soon" is no greylisting. */
  soonAttempts: number
}

export interface Failed {
  /** Which try it was that just failed, 1 the first. */
  attempt: number
  expiresAt: Date
  retry?: Retry | undefined
}

/** @param random in [0, 1). Null: it has expired. */
export function nextAttemptAt(schedule: RetrySchedule, failed: Failed, now: Date, random: number): Date | null {
  if (now >= failed.expiresAt) return null
  const due = now.getTime() + pauseMs(schedule, failed, random)
  // The last try is made when the time is up, not before.
  return new Date(Math.min(due, failed.expiresAt.getTime()))
}

function pauseMs(schedule: RetrySchedule, { attempt, retry }: Failed, random: number): number {
  const { firstMs, longestMs, jitter, soonMs, soonAttempts } = schedule
  const usual = Math.min(firstMs * 2 ** Math.min(attempt - 1, 30), longestMs) * (1 - jitter + 2 * jitter * random)
  if (retry === undefined) return usual
  // Never before the time that was named: then greylisting would begin anew.
  const asked = Math.min(Math.max(retry === 'soon' ? soonMs : retry, soonMs), longestMs) * (1 + jitter * random)
  if (attempt <= soonAttempts) return asked
  return retry === 'soon' ? usual : Math.max(usual, asked)
}
