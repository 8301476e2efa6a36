/**
 * mail.out → one attempt → mail.status, and for a deferral the same task again as a scheduled message, for a hold as a held
 * one.
 *
 * Ledger first: a task whose outcome is known publishes it again and delivers nothing. That also holds for an older attempt
 * than the ledger's last: its successor may have been lost with the bus, and a second copy of it is the same message.
 */
import { type Bus, BusFull, BusUnavailable, DependencyUnavailable, type Disposition, type Handler } from '@postbus/bus'
import { MailHold, MailOut, MailOutLater, type Status, taskKey } from '@postbus/contracts'
import { CorruptRecord, NoSuchRecord } from '@postbus/spool'

import type { Ledger, LedgerEntry } from '../attempt/ledger.ts'
import { isEnd, type Outcome } from '../attempt/outcome.ts'

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
    const known = await ports.ledger.find(task)
    const answered = known !== null && isAnswer(known, task)
    let outcome: Outcome
    try {
      outcome = answered ? known.outcome : await ports.attempt(released(task, known), signal)
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
        ports.writeStatuses([statusOf(task, { attempt, incarnation, outcome })]),
        publishNext(ports, { ...released(task, known), attempt }, outcome),
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
  isEnd(outcome) || attempt >= task.attempt

/** A later attempt than the one that was held: an operator released it. */
const released = (task: MailOut, known: LedgerEntry | null): MailOut =>
  known?.outcome.kind === 'held' && known.attempt < task.attempt ? { ...task, released: true } : task

function statusOf(
  { queueId, n, site }: MailOut,
  { attempt, incarnation, outcome }: Pick<LedgerEntry, 'attempt' | 'incarnation' | 'outcome'>,
): Status {
  const about = { queueId, n, incarnation, attempt }
  return outcome.kind === 'held' ? { ...about, ...outcome, site } : { ...about, ...outcome }
}

async function publishNext(ports: MailOutPorts, task: MailOut, outcome: Outcome): Promise<void> {
  if (outcome.kind === 'deferred') await publishRetry(ports, task, outcome)
  if (outcome.kind === 'held') await ports.publish(MailHold, { task, heldAt: outcome.at, rule: outcome.rule })
}

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
