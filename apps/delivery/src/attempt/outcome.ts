/**
 * What one attempt came to, or what an operator or a rule decided instead, for one recipient. A value that the ledger keeps and
 * a repeated task says again.
 */
import { EnhancedStatus, NextHop, Timestamp } from '@postbus/contracts'
import { z } from 'zod'

/** The way that was chosen instead of the site's own; it stands until another is. */
const way = { via: NextHop.optional() }
/** From when the attempt began, milliseconds. */
const took = { tookMs: z.int().nonnegative().optional() }
const said = {
  status: EnhancedStatus,
  reason: z.string(),
  reply: z.string().optional(),
  mxHost: z.string().optional(),
  ...took,
}

export const Outcome = z.discriminatedUnion('kind', [
  z.object({
    kind: z.literal('relayed'),
    at: Timestamp,
    mxHost: z.string(),
    reply: z.string(),
    dsn: z.boolean(),
    ...took,
  }),
  z.object({ kind: z.literal('deferred'), at: Timestamp, nextAttemptAt: Timestamp, ...said, ...way }),
  z.object({ kind: z.literal('failed'), at: Timestamp, ...said, rule: z.string().optional() }),
  z.object({ kind: z.literal('expired'), at: Timestamp, ...said }),
  /** The attempt is not made: the task waits in MAIL_HOLD until an operator releases or cancels it. */
  z.object({ kind: z.literal('held'), at: Timestamp, rule: z.string(), ...way }),
  /** Let go on at once, out of a hold, before its time or another way: the next attempt is work. */
  z.object({
    kind: z.literal('released'),
    at: Timestamp,
    by: z.string(),
    ...way,
    /** No copy of it was found. */
    missing: z.literal(true).optional(),
  }),
  /** A rule ends it, and nobody is told. */
  z.object({ kind: z.literal('discarded'), at: Timestamp, rule: z.string() }),
  z.object({ kind: z.literal('cancelled'), at: Timestamp, by: z.string() }),
])
export type Outcome = z.infer<typeof Outcome>

const open: ReadonlySet<Outcome['kind']> = new Set(['deferred', 'held', 'released'])

/** Nothing is attempted after it. */
export const isEnd = ({ kind }: Pick<Outcome, 'kind'>): boolean => !open.has(kind)
