/** What one attempt came to, for one recipient. A value that the ledger keeps and a repeated task says again. */
import { EnhancedStatus, Timestamp } from '@postbus/contracts'
import { z } from 'zod'

const said = { status: EnhancedStatus, reason: z.string(), reply: z.string().optional(), mxHost: z.string().optional() }

export const Outcome = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('relayed'), at: Timestamp, mxHost: z.string(), reply: z.string(), dsn: z.boolean() }),
  z.object({ kind: z.literal('deferred'), at: Timestamp, nextAttemptAt: Timestamp, ...said }),
  z.object({ kind: z.literal('failed'), at: Timestamp, ...said, rule: z.string().optional() }),
  z.object({ kind: z.literal('expired'), at: Timestamp, ...said }),
  /** A rule or an operator keeps it, until it is released or cancelled. */
  z.object({ kind: z.literal('held'), at: Timestamp, rule: z.string() }),
  /** A rule ends it, and nobody is told. */
  z.object({ kind: z.literal('discarded'), at: Timestamp, rule: z.string() }),
])
export type Outcome = z.infer<typeof Outcome>

/** Nothing follows it. */
export const isEnd = ({ kind }: Outcome): boolean => kind !== 'deferred' && kind !== 'held'
