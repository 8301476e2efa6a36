/**
 * Gives spool records back: tombstone first, then the record, then the note that it is gone. Whatever dies in between, the
 * tombstone says what is left to do, and nothing brings the record back.
 */
import type { QueueId } from '@postbus/contracts'

import type { BooksWriter } from '../tracking/books.ts'

export interface FreePorts {
  writer: Pick<BooksWriter, 'bury' | 'freed'>
  free(queueIds: readonly QueueId[]): Promise<void>
  now(): Date
}

/** @returns how many records were freed */
export async function freeRecords(
  { writer, free, now }: FreePorts,
  page: number,
  signal: AbortSignal,
): Promise<number> {
  let total = 0
  while (!signal.aborted) {
    const buried = await writer.bury(page)
    if (buried.length > 0) {
      await free(buried)
      await writer.freed(buried, now())
      total += buried.length
    }
    if (buried.length < page) break
  }
  return total
}
