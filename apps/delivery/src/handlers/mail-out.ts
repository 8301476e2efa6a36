/**
 * mail.out → one attempt → mail.status, and for a deferral the same task again as a scheduled message. A task for which there is
 * no room is put back as it was, also as a scheduled message, without a word to anybody: nothing happened to it.
 *
 * Ledger first: a task whose outcome is known publishes it again and delivers nothing. That also holds for an older attempt
 * than the ledger's last: its successor may have been lost with the bus, and a second copy of it is the same message.
 */
import { type Bus, BusFull, BusUnavailable, DependencyUnavailable, type Disposition, type Handler } from '@postbus/bus'
import { MailOut, MailOutLater, type Status, taskKey } from '@postbus/contracts'
import { CorruptRecord, NoSuchRecord } from '@postbus/spool'

import type { Ledger, LedgerEntry } from '../attempt/ledger.ts'
import type { Outcome } from '../attempt/outcome.ts'
import type { Submission } from '../lanes/scheduler.ts'

export interface MailOutPorts {
  ledger: Pick<Ledger, 'find'>
  /** When it is done the outcome is in the ledger. */
  attempt(task: MailOut, signal: AbortSignal): Promise<Submission<Outcome>>
  writeStatuses(statuses: readonly Status[]): Promise<void>
  publish: Bus['publish']
  counted(outcome: Outcome): void
}

export function onMailOut(ports: MailOutPorts): Handler<typeof MailOut.schema> {
  /** Two copies of one task may be in hand at once; the second waits and then finds the ledger filled. */
  const inHand = new Map<string, Promise<unknown>>()

  return async (task, { log, signal }) => {
    for (;;) {
      const handled = await inTurn(taskKey(task.queueId, task.n), () => handle(task, signal))
      // Whoever withdrew it waits for its turn with this task; then the ledger may know more.
      if (handled === 'withdrawn') continue
      const { disposition, facts, message } = handled
      log.info({ n: task.n, forwardPath: task.forwardPath, site: task.site, ...facts }, message)
      return disposition
    }
  }

  async function inTurn<Result>(key: string, work: () => Promise<Result>): Promise<Result> {
    const before = inHand.get(key)
    const mine = (async () => {
      await before?.catch(() => {})
      return work()
    })()
    inHand.set(key, mine)
    try {
      return await mine
    } finally {
      if (inHand.get(key) === mine) inHand.delete(key)
    }
  }

  async function handle(task: MailOut, signal: AbortSignal): Promise<Handled | 'withdrawn'> {
    const known = await ports.ledger.find(task)
    const answered = known !== null && isAnswer(known, task)
    let outcome: Outcome
    try {
      const submission = answered
        ? ({ kind: 'done', outcome: known.outcome } as const)
        : await ports.attempt(task, signal)
      if (submission.kind === 'withdrawn') return 'withdrawn'
      if (submission.kind === 'spill') return await putBack(ports, task, submission.until)
      outcome = submission.outcome
    } catch (error) {
      if (error instanceof NoSuchRecord || error instanceof CorruptRecord) {
        return { disposition: { kind: 'reject', reason: error.message }, facts: {}, message: 'cannot be read' }
      }
      throw error
    }
    const attempt = answered ? known.attempt : task.attempt
    const incarnation = answered ? Math.max(known.incarnation, task.incarnation) : task.incarnation
    await onTheBus(() =>
      Promise.all([
        ports.writeStatuses([{ queueId: task.queueId, n: task.n, incarnation, attempt, ...outcome }]),
        outcome.kind === 'deferred' ? publishRetry(ports, { ...task, attempt }, outcome) : undefined,
      ]),
    )
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

/** The outcome is in the ledger, or there is none; nothing is delivered again when the task comes back. */
async function onTheBus(publish: () => Promise<unknown>): Promise<void> {
  try {
    await publish()
  } catch (cause) {
    if (cause instanceof BusFull || cause instanceof BusUnavailable) {
      throw new DependencyUnavailable('the bus does not take what follows', { cause })
    }
    throw cause
  }
}

async function putBack({ publish }: MailOutPorts, task: MailOut, until: Date): Promise<Handled> {
  const next: MailOut = { ...task, spills: task.spills + 1 }
  await onTheBus(() => publish(MailOutLater, next, { schedule: { at: until, target: MailOut.subject(next) } }))
  const facts = { attempt: task.attempt, spills: next.spills, until: until.toISOString() }
  return { disposition: { kind: 'done' }, facts, message: 'put back' }
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
