/** When a recipient that has not moved becomes suspicious. Before that nobody looks for its task on the bus. */
import { isOpen, type Tracked } from './sheet.ts'

/** Null: nothing to look for. A dead task waits for a person, and its payload cannot be made again. */
export function dueAt(tracked: Tracked, overdueMs: number): Date | null {
  if (!isOpen(tracked)) return null
  const { listing, status } = tracked
  if (status === null) return listing === null ? null : new Date(Date.parse(listing.at) + overdueMs)
  switch (status.kind) {
    case 'deferred':
      return new Date(Date.parse(status.nextAttemptAt) + overdueMs)
    case 'held':
      return new Date(Date.parse(status.at) + overdueMs)
    case 'released':
      return new Date(Date.parse(status.at) + (status.missing ? 0 : overdueMs))
    default:
      return null
  }
}
