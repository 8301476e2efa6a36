/** What services and operators ask custody. */
import { z } from 'zod'

import { defineRequest } from './define.ts'
import {
  EnhancedStatus,
  Envelope,
  ForwardPath,
  Incarnation,
  Origin,
  QueueId,
  RecipientKey,
  ReversePath,
  Timestamp,
} from './envelope.ts'

/** Where a final recipient stands. `routed`: on its way, no attempt known yet. */
export const RecipientState = z.enum([
  'routed',
  'delivered',
  'relayed',
  'deferred',
  'failed',
  'expired',
  'discarded',
  'held',
  'cancelled',
  'dead',
])
export type RecipientState = z.infer<typeof RecipientState>

export const TrackedRecipient = z.object({
  n: RecipientKey,
  original: z.int().nonnegative(),
  forwardPath: ForwardPath,
  state: RecipientState,
  attempt: z.int().nonnegative(),
  incarnation: Incarnation,
  at: Timestamp,
  /** Account, MX host, rule, or what the peer said. */
  detail: z.string().max(2000).optional(),
  status: EnhancedStatus.optional(),
  nextAttemptAt: Timestamp.optional(),
  /** The report to the sender that told of its end, or of its delay so far. */
  report: QueueId.optional(),
  /** Why nobody is told that it failed. */
  unreported: z.string().max(200).optional(),
})
export type TrackedRecipient = z.infer<typeof TrackedRecipient>

export const where = defineRequest({
  name: 'custody.where',
  answerer: 'custody',
  askers: ['operator', 'console'],
  refusals: ['noSuchMessage'],
  purpose: 'Where one message is, recipient by recipient.',
  input: z.object({ queueId: QueueId }),
  output: z.object({
    queueId: QueueId,
    origin: Origin,
    acceptedAt: Timestamp,
    reversePath: ReversePath,
    size: z.int(),
    messageId: z.string().optional(),
    /** The recipients as accepted, by index. */
    originals: z.array(z.object({ recipient: Envelope.shape.recipients.element, routed: z.boolean() })),
    recipients: z.array(TrackedRecipient),
    /** When the spool record was freed; absent while the message is open. */
    freedAt: Timestamp.optional(),
  }),
})
