/**
 * mail.out → one attempt → mail.status, and what follows: for a deferral the same task again as a scheduled message. A task for
 * which there is no room is put back as it was, also as a scheduled message, without a word to anybody: nothing happened to it.
 *
 * Ledger first: a task whose outcome is known publishes it again and delivers nothing. That also holds for an older attempt
 * than the ledger's last: its successor may have been lost with the bus, and a second copy of it is the same message. And it
 * holds for what an operator decided meanwhile: a held task goes to MAIL_HOLD, a released one becomes the next attempt.
 */
import { type Bus, BusFull, BusUnavailable, DependencyUnavailable, type Disposition, type Handler } from '@postbus/bus'
import { MailHold, MailOut, MailOutLater, type Status, taskKey } from '@postbus/contracts'
import { CorruptRecord, NoSuchRecord } from '@postbus/spool'

import { answers, type Ledger, type LedgerEntry, LedgerUnavailable } from '../attempt/ledger.ts'
import { nextTask, statusOf } from '../attempt/next.ts'
import type { Outcome } from '../attempt/outcome.ts'
import { GaveWay, type Turns } from '../attempt/turns.ts'
import type { Submission } from '../lanes/scheduler.ts'

export interface MailOutPorts {
  ledger: Pick<Ledger, 'find'>
  /** Two copies of one task may be in hand at once; the second waits and then finds the ledger filled. */
  turns: Turns
  /** When it is done the outcome is in the ledger; rejects with a signal's reason if that aborts before the attempt began. */
  attempt(task: MailOut, signals: readonly AbortSignal[]): Promise<Submission<Outcome>>
  writeStatuses(statuses: readonly Status[]): Promise<void>
  publish: Bus['publish']
  /** A release that was cut short leaves its copy in MAIL_HOLD. */
  clearHold(task: MailOut): Promise<void>
  counted(task: MailOut, outcome: Outcome): void
}

export function onMailOut(ports: MailOutPorts): Handler<typeof MailOut.schema> {
  return async (task, { log, signal }) => {
    const { disposition, facts, message } = await inTurn(task, signal)
    log.info({ n: task.n, forwardPath: task.forwardPath, site: task.site, ...facts }, message)
    return disposition
  }

  async function inTurn(task: MailOut, signal: AbortSignal): Promise<Handled> {
    for (;;) {
      try {
        return await ports.turns.take(taskKey(task.queueId, task.n), ({ claimed }) => handle(task, [signal, claimed]))
      } catch (error) {
        if (!(error instanceof GaveWay)) throw error
      }
    }
  }

  async function handle(task: MailOut, signals: readonly AbortSignal[]): Promise<Handled> {
    try {
      return await attemptOrAnswer(task, signals)
    } catch (cause) {
      if (cause instanceof LedgerUnavailable) throw new DependencyUnavailable(cause.message, { cause })
      throw cause
    }
  }

  async function attemptOrAnswer(task: MailOut, signals: readonly AbortSignal[]): Promise<Handled> {
    const known = await ports.ledger.find(task)
    const answered = known !== null && answers(known, task)
    if (!answered && known?.outcome.kind === 'released') await ports.clearHold(task)
    let outcome: Outcome
    try {
      const submission = answered
        ? ({ kind: 'done', outcome: known.outcome } as const)
        : await ports.attempt(task, signals)
      if (submission.kind === 'spill') return await putBack(ports, task, submission.until)
      outcome = submission.outcome
    } catch (error) {
      if (error instanceof NoSuchRecord || error instanceof CorruptRecord) {
        return { disposition: { kind: 'reject', reason: error.message }, facts: {}, message: 'cannot be read' }
      }
      throw error
    }
    const { queueId, n, attempt, incarnation } = task
    const entry: LedgerEntry = answered
      ? { ...known, incarnation: Math.max(known.incarnation, incarnation) }
      : { queueId, n, attempt, incarnation, outcome }
    await onTheBus(() => Promise.all([ports.writeStatuses([statusOf(task, entry)]), publishNext(ports, task, entry)]))
    if (!answered) ports.counted(task, outcome)
    const { kind, ...facts } = outcome
    return {
      disposition: { kind: 'done' },
      facts: { attempt: entry.attempt, ...facts },
      message: answered ? `${kind} before` : kind,
    }
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

async function publishNext({ publish }: MailOutPorts, task: MailOut, entry: LedgerEntry): Promise<void> {
  const { outcome } = entry
  switch (outcome.kind) {
    case 'deferred': {
      const next = nextTask(task, entry)
      const schedule = { at: new Date(outcome.nextAttemptAt), target: MailOut.subject(next) }
      return publish(MailOutLater, next, { schedule })
    }
    case 'held':
      return publish(MailHold, {
        task: { ...task, attempt: entry.attempt },
        heldAt: outcome.at,
        rule: outcome.rule,
      })
    case 'released':
      return publish(MailOut, nextTask(task, entry))
    default:
      return
  }
}
