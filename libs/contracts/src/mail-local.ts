/**
 * NAME
 *   mail.local — deliver one message to one account of ours
 * PRODUCERS
 *   router; custody (what the bus lost)
 * CONSUMERS
 *   mailstore
 * DELIVERY
 *   At least once. Same queueId, n and incarnation: same message; the mailbox's own key is (queueId, account).
 */
import { z } from 'zod'

import { defineEvent } from './define.ts'
import { AccountId } from './envelope.ts'
import { streams } from './streams.ts'
import { Task } from './task.ts'

export const MailLocal = defineEvent({
  name: 'mail.local',
  pattern: 'mail.local.v1.{queueId}.{n}',
  stream: streams.local,
  producers: ['router', 'custody'],
  newWorkOf: ['router', 'custody'],
  consumers: [{ party: 'mailstore', durable: 'mailstore', filter: 'mail.local.v1.>' }],
  purpose: 'Deliver one message to one account of ours.',
  schema: z.object({
    ...Task.shape,
    account: AccountId,
    /** The subaddress after the separator — RFC 5233. */
    detail: z.string().max(256).optional(),
  }),
  subject: ({ queueId, n }) => `mail.local.v1.${queueId}.${n}`,
  messageId: ({ queueId, n, incarnation }) => `loc:${queueId}:${n}:${incarnation}`,
  queueId: ({ queueId }) => queueId,
})
export type MailLocal = z.infer<typeof MailLocal.schema>
