/**
 * mail.dead — a task no service can handle, kept whole. Published by the bus library itself, acknowledged there before
 * the poisoned message is taken off its stream. `id` is the queueId and n where they could be read, else a hash of the payload.
 */
import { z } from 'zod'

import { defineEvent } from './define.ts'
import { Timestamp } from './envelope.ts'
import { streams } from './streams.ts'

export const MailDead = defineEvent({
  name: 'mail.dead',
  pattern: 'mail.dead.v1.{stream}.{reason}.{queueId}.{n}',
  stream: streams.dead,
  // Whoever consumes events.
  producers: ['router', 'delivery', 'mailstore', 'custody'],
  consumers: [],
  // Its leader, when an operator drove it again or dropped it.
  removedBy: ['custody'],
  purpose: 'A task that matches no contract, or that killed every process that tried it.',
  schema: z.object({
    stream: z.string().regex(/^[A-Z0-9_]+$/),
    sequence: z.int(),
    subject: z.string(),
    reason: z.enum(['contract', 'rejected', 'crash']),
    detail: z.string().max(4000),
    /** Two tokens: `<queueId>.<n>`, or a hash in their place. */
    id: z.string().regex(/^[0-9A-Za-z]+\.[0-9A-Za-z]+$/),
    at: Timestamp,
    /** The message as it was, base64. */
    payload: z.string(),
    headers: z.record(z.string(), z.array(z.string())),
  }),
  subject: ({ stream, reason, id }) => `mail.dead.v1.${stream}.${reason}.${id}`,
  messageId: ({ stream, sequence }) => `ded:${stream}:${sequence}`,
})
export type MailDead = z.infer<typeof MailDead.schema>
