import type { MailAccepted, QueueId } from '@postbus/contracts'

import type { Books, BooksWriter } from '../tracking/books.ts'
import type { Suspects } from './suspects.ts'
import type { Place, Publication } from './task.ts'

export interface ReconcilePorts {
  books: Pick<Books, 'findRecipient' | 'findUnrouted'>
  writer: Pick<
    BooksWriter,
    'overdueMessages' | 'overdueRecipients' | 'postponeMessages' | 'postponeRecipients' | 'raiseIncarnation' | 'record'
  >
  suspects: Suspects
  /** Whether the bus holds exactly this. @throws when it cannot say */
  holds(place: Place): Promise<boolean>
  /** The event in the spool record; null when there is no such record. */
  record(queueId: QueueId): Promise<MailAccepted | null>
  publish(publication: Publication): Promise<void>
  publishAccepted(event: MailAccepted): Promise<void>
  now(): Date
}

/** What a look at one overdue row came to. */
export type Finding =
  /** It is on the bus. */
  | 'found'
  /** Not found, and not yet known to be lost. */
  | 'suspect'
  /** It moved on while we looked. */
  | 'moved'
  | 'republished'
  /** It must be routed again, and its record is gone. Somebody must look at this. */
  | 'recordMissing'
