/** custody.queue and custody.queueSites: open outgoing recipients, one by one or counted by site. */
import type { AnswerContext, Row } from '@postbus/bus'
import type { countQueue, listQueue, QueuedRecipient } from '@postbus/contracts'
import type { z } from 'zod'

import { countSites, walkQueue } from '../queue/walk-queue.ts'
import type { Books } from '../tracking/books.ts'

export function onListQueue(books: Pick<Books, 'queueEntries'>) {
  return async function* (
    { filter, limit }: z.output<typeof listQueue.input>,
    { signal }: Pick<AnswerContext, 'signal'>,
  ): AsyncGenerator<Row<QueuedRecipient>> {
    let room = limit
    for await (const row of walkQueue(books, filter, signal)) {
      yield { row }
      if (--room === 0) return
    }
  }
}

export function onCountQueue(books: Pick<Books, 'queueEntries' | 'queueMarks'>) {
  return async (
    { filter, limit }: z.output<typeof countQueue.input>,
    { signal }: Pick<AnswerContext, 'signal'>,
  ): Promise<z.input<typeof countQueue.output>> => {
    const counts = (await countSites(books, filter, signal)).map((count) => ({ count, size: sizeOf(count) }))
    return {
      sites: counts
        .toSorted((one, other) => other.size - one.size || (one.count.site < other.count.site ? -1 : 1))
        .slice(0, limit)
        .map(({ count: { oldestAt, nextAttemptAt, ...count } }) => ({
          ...count,
          oldestAt: timestamp(oldestAt),
          ...(nextAttemptAt !== null && { nextAttemptAt: timestamp(nextAttemptAt) }),
        })),
      total: counts.reduce((total, { size }) => total + size, 0),
    }
  }
}

const sizeOf = (count: Record<QueuedRecipient['state'], number>): number =>
  count.routed + count.deferred + count.held + count.dead

const timestamp = (ms: number): string => new Date(ms).toISOString()
