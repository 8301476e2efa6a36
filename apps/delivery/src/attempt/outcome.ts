/** What one attempt came to, for one recipient. A value that the ledger keeps and a repeated task says again. */
import { EnhancedStatus, Timestamp } from '@postbus/contracts'
import { z } from 'zod'

const said = { status: EnhancedStatus, reason: z.string(), reply: z.string().optional(), mxHost: z.string().optional() }

export const Outcome = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('relayed'), at: Timestamp, mxHost: z.string(), reply: z.string(), dsn: z.boolean() }),
  z.object({ kind: z.literal('deferred'), at: Timestamp, nextAttemptAt: Timestamp, ...said }),
  z.object({ kind: z.literal('failed'), at: Timestamp, ...said }),
  z.object({ kind: z.literal('expired'), at: Timestamp, ...said }),
])
export type Outcome = z.infer<typeof Outcome>
