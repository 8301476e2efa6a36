/** SORT and THREAD over the memory mailstore's messages. */
import type { SearchKey, SortCriterion } from '@postbus/contracts'
import { orderedSubjectThreads, referencesThreads, sortKeysOf, type SortKeys } from '@postbus/message'

import type { MemoryMessage } from './message.ts'
import { matches } from './search.ts'

export async function matching(messages: readonly MemoryMessage[], key: SearchKey): Promise<MemoryMessage[]> {
  const found: MemoryMessage[] = []
  for (const message of messages) if (await matches(message, key)) found.push(message)
  return found
}

export function sorted(messages: readonly MemoryMessage[], criteria: readonly SortCriterion[]): MemoryMessage[] {
  const values = new Map(messages.map((message) => [message, criteria.map(({ by }) => valueOf(message, by))]))
  return messages.toSorted((a, b) => {
    for (const [index, { reverse }] of criteria.entries()) {
      const order = compare(values.get(a)?.[index], values.get(b)?.[index])
      if (order !== 0) return reverse ? -order : order
    }
    return a.uid - b.uid
  })
}

export function threaded(messages: readonly MemoryMessage[], algorithm: 'orderedSubject' | 'references'): string[] {
  const threads = algorithm === 'references' ? referencesThreads() : orderedSubjectThreads()
  for (const message of messages) threads.add({ uid: message.uid, at: sentAt(message), ...keysOf(message) })
  // In the smallest pieces there are.
  return [...threads.pieces(1)]
}

const keysOf = ({ bytes }: MemoryMessage): SortKeys => sortKeysOf(bytes)

/** In seconds, as clients see it. */
const arrivedAt = ({ internalDate }: MemoryMessage): number => Math.floor(Date.parse(internalDate) / 1000)

function sentAt(message: MemoryMessage): number {
  const { sentAt } = keysOf(message)
  return sentAt === null ? arrivedAt(message) : sentAt / 1000
}

function valueOf(message: MemoryMessage, by: SortCriterion['by']): number | Buffer {
  if (by === 'arrival') return arrivedAt(message)
  if (by === 'date') return sentAt(message)
  if (by === 'size') return message.bytes.length
  return Buffer.from(keysOf(message)[by])
}

function compare(a: number | Buffer | undefined, b: number | Buffer | undefined): number {
  return Buffer.isBuffer(a) && Buffer.isBuffer(b) ? Buffer.compare(a, b) : Number(a) - Number(b)
}
