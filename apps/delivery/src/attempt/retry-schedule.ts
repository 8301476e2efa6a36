/**
 * When to try again: each pause twice the one before, up to a bound, spread so that what failed together does not come back
 * together.
 *
 * STANDARDS  RFC 5321 §4.5.4.1 (at least 30 minutes on average once the first tries failed; give up after 4 to 5 days)
 */
export interface RetrySchedule {
  firstMs: number
  longestMs: number
  /** 0.2: between 80 % and 120 % of the pause. */
  jitter: number
}

/** @param attempt the one that just failed, 1 the first. @param random in [0, 1). Null: it has expired. */
export function nextAttemptAt(
  { firstMs, longestMs, jitter }: RetrySchedule,
  { attempt, expiresAt }: { attempt: number; expiresAt: Date },
  now: Date,
  random: number,
): Date | null {
  if (now >= expiresAt) return null
  const pauseMs = Math.min(firstMs * 2 ** Math.min(attempt - 1, 30), longestMs)
  const due = now.getTime() + pauseMs * (1 - jitter + 2 * jitter * random)
  // The last try is made when the time is up, not before.
  return new Date(Math.min(due, expiresAt.getTime()))
}
