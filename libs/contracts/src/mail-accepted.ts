/**
 * NAME
 *   mail.accepted — a message we have taken responsibility for
 * PRODUCERS
 *   submission, inbound: after the spool record is durable, before the 250; custody: reports, and what the bus lost
 * CONSUMERS
 *   router
 * DELIVERY
 *   At least once. Same queueId and incarnation: same message.
 * STANDARDS
 *   RFC 5321 §6.1 (responsibility passes with the 250), RFC 3461 (DSN parameters)
 */
import { z } from 'zod'

import { defineEvent } from './define.ts'
import { Envelope, MessageEntry, MessageFacts } from './envelope.ts'
import { streams } from './streams.ts'

export const MailAccepted = defineEvent({
  name: 'mail.accepted',
  pattern: 'mail.accepted.v1.{origin}.{queueId}',
  stream: streams.accepted,
  producers: ['submission', 'inbound', 'custody'],
  narrow: { submission: { origin: 'submission' }, inbound: { origin: 'inbound' } },
  newWorkOf: ['submission', 'inbound', 'custody'],
  consumers: [{ party: 'router', durable: 'router', filter: 'mail.accepted.v1.>' }],
  purpose: 'A message we have taken responsibility for; its bytes are in the spool under the queue id.',
  schema: z.object({
    ...MessageFacts.shape,
    envelope: Envelope,
    /** The authenticated account, for submission. */
    account: MessageEntry.shape.account,
    /** The client's address, for the books. */
    clientAddress: z.string().max(64).optional(),
    messageId: MessageEntry.shape.messageId,
    report: MessageEntry.shape.report,
    traceId: MessageEntry.shape.traceId,
  }),
  subject: ({ origin, queueId }) => `mail.accepted.v1.${origin}.${queueId}`,
  messageId: ({ queueId, incarnation }) => `acc:${queueId}:${incarnation}`,
  queueId: ({ queueId }) => queueId,
})
export type MailAccepted = z.infer<typeof MailAccepted.schema>

/** The message as the books know it. Its envelope decides where facts and envelope both speak. */
export function entryOf({ envelope, clientAddress: _, ...facts }: MailAccepted): MessageEntry {
  const { reversePath, body, envid, ret } = envelope
  return { ...facts, reversePath, body, envid, ret }
}
