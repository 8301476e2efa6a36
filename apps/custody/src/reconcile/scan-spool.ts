/**
 * Compares the spool with the books: a record nobody told custody about gets a page, and is from then on looked for like any
 * other message that is not routed. That is how a message is found whose publication failed after its 250.
 */
import type { MailAccepted } from '@postbus/contracts'

import type { BooksWriter } from '../tracking/books.ts'

export interface ScanPorts {
  list(): AsyncIterable<{ accepted: MailAccepted; writtenAt: Date }>
  writer: Pick<BooksWriter, 'adopt'>
}

/** @returns how many records were looked at */
export async function scanSpool(
  { list, writer }: ScanPorts,
  { olderThan, page }: { olderThan: Date; page: number },
  signal: AbortSignal,
): Promise<number> {
  let seen = 0
  let records: MailAccepted[] = []
  for await (const { accepted, writtenAt } of list()) {
    signal.throwIfAborted()
    // A young one is on its way through the bus; its statuses come by themselves.
    if (writtenAt > olderThan) continue
    seen++
    records.push(accepted)
    if (records.length < page) continue
    await writer.adopt(records)
    records = []
  }
  if (records.length > 0) await writer.adopt(records)
  return seen
}
