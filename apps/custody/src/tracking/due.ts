/** When a recipient that has not moved becomes suspicious. Before that nobody looks for its task on the bus. */
import { isOpen, type Tracked } from './sheet.ts'

/** Null: not before a full comparison with the streams. Held and dead recipients wait for a person. */
export function dueAt(tracked: Tracked, overdueMs: number): Date | null {
  if (!isOpen(tracked)) return null
  const { listing, status } = tracked
  if (status === null) return listing === null ? null : new Date(Date.parse(listing.at) + overdueMs)
  switch (status.kind) {
    case 'deferred':
      return new Date(Date.parse(status.nextAttemptAt) + overdueMs)
    case 'released':
      return new Date(Date.parse(status.at) + overdueMs)
    default:
      return null
  }
}
