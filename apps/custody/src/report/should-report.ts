/**
 * Whether somebody must be told that a recipient failed.
 *
 * STANDARDS  RFC 3461 §4.1, §5.2.2 (NOTIFY), RFC 5321 §4.5.5, §6.1 (null reverse-path), RFC 3464 §2
 */
import type { Recipient } from '@postbus/contracts'

import { stateOf, type Tracked } from '../tracking/sheet.ts'

/** @param original as the sender wrote it, null where it is not known */
export function failureReportDue(tracked: Tracked, original: Recipient | null, sender: string): boolean {
  const state = stateOf(tracked)
  if (tracked.listing === null || (state !== 'failed' && state !== 'expired')) return false
  const { reversePath } = tracked.listing.final
  // RFC 5321 §6.1: no report about a message whose reverse-path is null; it may be a report itself.
  if (reversePath === '') return false
  // A list's failures are reported to the list, whatever the author asked for — RFC 3461 §5.2.7.3.
  const notify = reversePath === sender ? original?.notify : undefined
  // RFC 3461 §4.1: without NOTIFY a failure is reported; with it, only if FAILURE is among its values.
  return notify === undefined || notify.includes('FAILURE')
}
