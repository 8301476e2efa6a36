/** custody.find: messages by what people know of them. */
import type { findMessages } from '@postbus/contracts'
import type { z } from 'zod'

import type { Books } from '../tracking/books.ts'

export function onFind({ findMessages: find }: Pick<Books, 'findMessages'>) {
  return async ({
    limit,
    after,
    before,
    ...wanted
  }: z.output<typeof findMessages.input>): Promise<z.input<typeof findMessages.output>> => {
    const times = { after: milliseconds(after), before: milliseconds(before) }
    const found = await find({ ...wanted, ...times }, limit + 1)
    return {
      messages: found.slice(0, limit).map(({ entry, recipients, open }) => {
        const { queueId, messageId, reversePath, origin, acceptedAt } = entry
        return { queueId, messageId, reversePath, origin, acceptedAt, recipients, open }
      }),
      more: found.length > limit,
    }
  }
}

const milliseconds = (timestamp: string | undefined): number | undefined =>
  timestamp === undefined ? undefined : Date.parse(timestamp)
