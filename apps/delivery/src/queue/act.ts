/**
 * An operator's act on one queued task: decided in a turn of its own, durable in the ledger, then told to the books and carried
 * out on the bus.
 *
 * The decision is what counts. From its commit on every copy of the task that comes up is answered by it, so an act that was cut
 * short is finished then, or by the operator who asks again.
 */
import { type Act, type ActResult, type QueuedTask, type Status, taskKey } from '@postbus/contracts'

import type { Ledger, LedgerEntry } from '../attempt/ledger.ts'
import { nextTask, statusOf } from '../attempt/next.ts'
import { isEnd, type Outcome } from '../attempt/outcome.ts'
import type { Turns } from '../attempt/turns.ts'
import { type Copies, locate, locateAll, newest, nowhere, type Queue } from './queue.ts'

export interface ActPorts {
  ledger: Pick<Ledger, 'find' | 'commit'>
  turns: Turns
  queue: Queue
  writeStatuses(statuses: readonly Status[]): Promise<void>
  now(): Date
  /** How long an attempt that is on its way is waited for. */
  waitMs: number
}

export interface Order {
  act: Act
  /** Who acts, for the books. */
  by: string
}

export async function actOn(task: QueuedTask, order: Order, ports: ActPorts): Promise<ActResult> {
  const key = taskKey(task.queueId, task.n)
  if (order.act.kind === 'retry' && ports.turns.isTaken(key) && (await isWork(task, ports))) return 'done'
  return (await ports.turns.claim(key, ports.waitMs, () => carryOut(task, order, ports))) ?? 'attempting'
}

/** A task that waits for its site keeps its place there. */
async function isWork(task: QueuedTask, { ledger, queue }: ActPorts): Promise<boolean> {
  const entry = await ledger.find(task)
  return ahead(await locate(queue, task, entry), entry)?.where === 'work'
}

async function carryOut(task: QueuedTask, order: Order, ports: ActPorts): Promise<ActResult> {
  const { ledger, queue, now } = ports
  const entry = await ledger.find(task)
  if (entry !== null && isEnd(entry.outcome)) {
    // The books did not know, or something was left lying when it ended.
    await settle(task, entry, await locateAll(queue, task), ports)
    return 'ended'
  }
  // A schedule need not be seen to be cancelled.
  const blind = order.act.kind === 'cancel' && entry?.outcome.kind === 'deferred'
  const copies = blind ? nowhere : await locate(queue, task, entry)
  const decision = decide(task, order, entry, copies, now())
  if (typeof decision === 'string') return decision
  if (decision !== entry) await ledger.commit(decision)
  await settle(task, decision, copies, ports)
  return 'done'
}

const ahead = (copies: Copies, entry: LedgerEntry | null) => {
  const copy = newest(copies)
  return copy !== null && copy.task.attempt > (entry?.attempt ?? 0) ? copy : null
}

/** @returns the entry that stands from now on, perhaps the one that did, or why nothing is done */
export function decide(
  task: QueuedTask,
  { act, by }: Order,
  entry: LedgerEntry | null,
  copies: Copies,
  now: Date,
): LedgerEntry | ActResult {
  const copy = newest(copies)
  if (entry === null && copy === null) return 'unknown'
  const live = ahead(copies, entry)
  const isHeld = live === null ? entry?.outcome.kind === 'held' : live.where === 'hold'
  const wasReleased = entry?.outcome.kind === 'released' && (live === null || live.task.attempt === entry.attempt + 1)
  const at = now.toISOString()
  const attempt = Math.max(entry?.attempt ?? 0, task.attempt, (copy?.task.attempt ?? 1) - 1) + 1
  const entryOf = (outcome: Outcome, ofAttempt = attempt): LedgerEntry => ({
    ...{ queueId: task.queueId, n: task.n, attempt: ofAttempt, outcome },
    incarnation: Math.max(entry?.incarnation ?? 0, copy?.task.incarnation ?? 0),
  })
  const standing = entry !== null && 'via' in entry.outcome ? entry.outcome.via : undefined
  const via = copy?.task.via ?? standing
  const way = via !== undefined && { via }
  /** Only custody can make it again, and need not wait until it is overdue. */
  const lost = copy === null && ({ missing: true } as const)
  /** A hold names the attempt that it holds, and its release is of the same. */
  const heldAttempt = Math.max(entry?.attempt ?? 0, copy?.task.attempt ?? 0)

  switch (act.kind) {
    case 'retry':
      if (isHeld) return 'held'
      if (live?.where === 'work') return 'done'
      if (entry !== null && live === null && wasReleased) return entry
      return entryOf({ kind: 'released', at, by, ...way, ...lost })
    case 'hold':
      if (!isHeld) return entryOf({ kind: 'held', at, rule: act.rule, ...way })
      return entry !== null && live === null ? entry : 'done'
    case 'release':
      if (isHeld) return entryOf({ kind: 'released', at, by, ...way, ...lost }, heldAttempt)
      return entry !== null && wasReleased ? entry : 'notHeld'
    case 'reroute':
      return entryOf({ kind: 'released', at, by, via: act.via, ...lost }, isHeld ? heldAttempt : attempt)
    case 'cancel':
      return entryOf(act.report ? refusedByOperator(at) : { kind: 'cancelled', at, by })
  }
}

/** RFC 3463 §3.1: 5.0.0, for which only the class is known. No code says that a postmaster took it out of the queue. */
const refusedByOperator = (at: string): Outcome => ({
  ...{ kind: 'failed', at, status: '5.0.0', reason: 'Cancelled by the postmaster', rule: 'operator' },
})

/**
 * Tells the books and moves the copies to where the entry says. The books never say that a task has left a hold before it has,
 * and say that it is held before it is: else nobody would look for it where it is.
 */
async function settle(task: QueuedTask, entry: LedgerEntry, copies: Copies, ports: ActPorts): Promise<void> {
  const status = statusOf(task, entry)
  const leavesHold = copies.hold !== null && entry.outcome.kind !== 'held'
  if (!leavesHold) await ports.writeStatuses([status])
  await move(task, entry, copies, ports.queue)
  if (leavesHold) await ports.writeStatuses([status])
}

/** What is work already comes up by itself, and is answered by the entry. */
async function move(task: QueuedTask, entry: LedgerEntry, copies: Copies, queue: Queue): Promise<void> {
  const { outcome } = entry
  const { schedule, hold } = copies
  const copy = newest(copies)
  switch (outcome.kind) {
    case 'held':
      if (copy?.where !== 'schedule') return
      if (hold !== null) await queue.removeHeld(hold)
      await queue.hold({ ...copy.task, attempt: entry.attempt }, outcome)
      return queue.cancelSchedule(task, entry, copy.sequence)
    case 'released':
      if (copy?.where === 'schedule') await queue.work(nextTask(copy.task, entry), copy)
      if (copy?.where === 'hold') await queue.work(nextTask(copy.task, entry))
      break
    default:
      if (schedule !== null || copies === nowhere) await queue.cancelSchedule(task, entry)
  }
  if (hold !== null) await queue.removeHeld(hold)
}
