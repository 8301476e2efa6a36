/** Events as the rows of records have them. */
import { MailAccepted, QueueId } from '@postbus/contracts'

import { CorruptRecord } from '../spool.ts'

/** @throws CorruptRecord */
export function eventIn({ queue_id: id, event }: { queue_id: string; event: string }): MailAccepted {
  try {
    return MailAccepted.schema.parse(JSON.parse(event))
  } catch (cause) {
    throw new CorruptRecord(QueueId.parse(id), `the envelope of ${id} cannot be read`, { cause })
  }
}
