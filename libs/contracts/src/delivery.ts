/** What operators ask delivery: acts on queued recipients, each carried out by the one replica that owns their lane. */
import { z } from 'zod'

import { defineRequest } from './define.ts'
import { QueueId, RecipientKey } from './envelope.ts'
import { NextHop } from './mail-out.ts'
import { Status } from './mail-status.ts'

/** One queued recipient, as the books list it. */
export const QueuedTask = z.object({
  queueId: QueueId,
  n: RecipientKey,
  site: z.string().min(1).max(255),
  shard: z.int().nonnegative(),
  /** The attempt the books know of; 0: none yet. */
  attempt: z.int().nonnegative(),
})
export type QueuedTask = z.infer<typeof QueuedTask>

export const Act = z.discriminatedUnion('kind', [
  /** Before its time: now. */
  z.object({ kind: z.literal('retry') }),
  z.object({ kind: z.literal('hold'), rule: z.string().min(1).max(200) }),
  /** Out of a hold; it is tried at once. */
  z.object({ kind: z.literal('release') }),
  /** With a report the sender is told that it failed. */
  z.object({ kind: z.literal('cancel'), report: z.boolean() }),
  /** Another way, at once. */
  z.object({ kind: z.literal('reroute'), via: NextHop }),
])
export type Act = z.infer<typeof Act>

/**
 * `done`: decided, durably, and nothing that was being attempted contradicts it. `attempting`: it is with the next hop right
 * now; ask again. `ended`: delivered, failed or cancelled before. `held`: a retry of what waits for its release.
 * `notHeld`: a release of what no one holds. `unknown`: neither the ledger nor the bus know it.
 */
export const ActResult = z.enum(['done', 'attempting', 'ended', 'held', 'notHeld', 'unknown'])
export type ActResult = z.infer<typeof ActResult>

export const MAX_TASKS_PER_ACT = 500

export const actOnTasks = defineRequest({
  name: 'delivery.act',
  place: 'lane',
  answerer: 'delivery',
  askers: ['operator', 'console'],
  refusals: ['wrongLane'],
  purpose: 'Retry, hold, release, cancel or reroute queued recipients of one lane; the results are in the order asked.',
  timeoutMs: 30_000,
  input: z.object({
    act: Act,
    /** Who acts, for the books. */
    by: z.string().min(1).max(200),
    tasks: z.array(QueuedTask).min(1).max(MAX_TASKS_PER_ACT),
  }),
  output: z.object({ results: z.array(ActResult) }),
})

/** For custody, before it publishes a lost task again: the ledger is the last word on what was handed to a next hop. */
export const findOutcomes = defineRequest({
  name: 'delivery.outcomes',
  answerer: 'delivery',
  askers: ['custody'],
  purpose: "The ledger's last word on each recipient, as a status; null if it has none. In the order asked.",
  input: z.object({
    tasks: z
      .array(QueuedTask.pick({ queueId: true, n: true, site: true }))
      .min(1)
      .max(500),
  }),
  output: z.object({ outcomes: z.array(Status.nullable()) }),
})
