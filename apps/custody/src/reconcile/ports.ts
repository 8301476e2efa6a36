import type { MailAccepted, QueueId } from '@postbus/contracts'

import type { Books, BooksWriter, Overdue } from '../tracking/books.ts'
import type { RecipientStatus } from '../tracking/order.ts'
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
  /** Whether the books know by now all that MAIL_STATUS held when this was asked. @throws when the bus cannot say */
  statusesRead(): Promise<boolean>
  /**
   * What the owners of the work say became of these: the mailstore's delivery keys, delivery's ledger. Those they know nothing of
   * are missing in the answer. Null: one of them cannot be asked now.
   */
  askOwners(rows: readonly Overdue[]): Promise<Map<Overdue, RecipientStatus> | null>
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
