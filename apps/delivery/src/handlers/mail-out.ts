/**
 * mail.out → one attempt → mail.status, and for a deferral the same task again as a scheduled message.
 *
 * Ledger first: a task whose outcome is known publishes it again and delivers nothing. That also holds for an older attempt
 * than the ledger's last: its successor may have been lost with the bus, and a second copy of it is the same message.
 */
import { type Bus, BusFull, BusUnavailable, DependencyUnavailable, type Disposition, type Handler } from '@postbus/bus'
import { MailOut, MailOutLater, type Status, taskKey } from '@postbus/contracts'
import { CorruptRecord, NoSuchRecord } from '@postbus/spool'

import { type Ledger, type LedgerEntry, LedgerUnavailable } from '../attempt/ledger.ts'
import type { Outcome } from '../attempt/outcome.ts'

export interface MailOutPorts {
  ledger: Pick<Ledger, 'find'>
  /** Resolves when the outcome is in the ledger. */
  attempt(task: MailOut, signal: AbortSignal): Promise<Outcome>
  writeStatuses(statuses: readonly Status[]): Promise<void>
  publish: Bus['publish']
  counted(outcome: Outcome): void
}

export function onMailOut(ports: MailOutPorts): Handler<typeof MailOut.schema> {
  /** Two copies of one task may be in hand at once; the second waits and then finds the ledger filled. */
  const inHand = new Map<string, Promise<unknown>>()

  return async (task, { log, signal }) => {
    const key = taskKey(task.queueId, task.n)
    const before = inHand.get(key)
    const mine = (async () => {
      await before?.catch(() => {})
      return handle(task, signal)
    })()
    inHand.set(key, mine)
    try {
      const { disposition, facts, message } = await mine
      log.info({ n: task.n, forwardPath: task.forwardPath, site: task.site, ...facts }, message)
      return disposition
    } finally {
      if (inHand.get(key) === mine) inHand.delete(key)
    }
  }

  async function handle(task: MailOut, signal: AbortSignal): Promise<Handled> {
    try {
      return await attemptOrAnswer(task, signal)
    } catch (cause) {
      if (cause instanceof LedgerUnavailable) throw new DependencyUnavailable(cause.message, { cause })
      throw cause
    }
  }

  async function attemptOrAnswer(task: MailOut, signal: AbortSignal): Promise<Handled> {
    const known = await ports.ledger.find(task)
    const answered = known !== null && isAnswer(known, task)
    let outcome: Outcome
    try {
      outcome = answered ? known.outcome : await ports.attempt(task, signal)
    } catch (error) {
      if (error instanceof NoSuchRecord || error instanceof CorruptRecord) {
        return { disposition: { kind: 'reject', reason: error.message }, facts: {}, message: 'cannot be read' }
      }
      throw error
    }
    const attempt = answered ? known.attempt : task.attempt
    const incarnation = answered ? Math.max(known.incarnation, task.incarnation) : task.incarnation
    try {
      await Promise.all([
        ports.writeStatuses([{ queueId: task.queueId, n: task.n, incarnation, attempt, ...outcome }]),
        outcome.kind === 'deferred' ? publishRetry(ports, { ...task, attempt }, outcome) : undefined,
      ])
    } catch (cause) {
      // The outcome is in the ledger; nothing is delivered again when this task comes back.
      if (cause instanceof BusFull || cause instanceof BusUnavailable) {
        throw new DependencyUnavailable('the bus does not take what follows', { cause })
      }
      throw cause
    }
    if (!answered) ports.counted(outcome)
    const { kind, ...facts } = outcome
    return { disposition: { kind: 'done' }, facts: { attempt, ...facts }, message: answered ? `${kind} before` : kind }
  }
}

interface Handled {
  disposition: Disposition
  facts: object
  message: string
}

const isAnswer = ({ outcome, attempt }: LedgerEntry, task: MailOut): boolean =>
  outcome.kind !== 'deferred' || attempt >= task.attempt

async function publishRetry(
  { publish }: MailOutPorts,
  task: MailOut,
  { nextAttemptAt, reply, at }: Extract<Outcome, { kind: 'deferred' }>,
): Promise<void> {
  const next: MailOut = {
    ...task,
    attempt: task.attempt + 1,
    firstAttemptAt: task.firstAttemptAt ?? at,
    ...(reply !== undefined && { lastReply: reply }),
  }
  await publish(MailOutLater, next, { schedule: { at: new Date(nextAttemptAt), target: MailOut.subject(next) } })
}
