/**
 * mail.out → one attempt → mail.status, and for a deferral the same task again as a scheduled message.
 *
 * Ledger first: a task whose outcome is known publishes it again and changes nothing else.
 */
import type { Bus, Handler } from '@postbus/bus'
import { MailOut, MailOutLater, type Status } from '@postbus/contracts'

import type { Ledger } from '../attempt/ledger.ts'
import type { Outcome } from '../attempt/outcome.ts'

export interface MailOutPorts {
  ledger: Pick<Ledger, 'find'>
  /** Resolves when the outcome is in the ledger. */
  attempt(task: MailOut): Promise<Outcome>
  writeStatuses(statuses: readonly Status[]): Promise<void>
  publish: Bus['publish']
  counted(outcome: Outcome): void
}

export function onMailOut(ports: MailOutPorts): Handler<typeof MailOut.schema> {
  return async (task, { log }) => {
    const { queueId, n } = task
    const known = await ports.ledger.find({ queueId, n })
    if (known !== null && known.attempt > task.attempt && known.outcome.kind === 'deferred') {
      // An old copy of a task that has gone on; what it led to was published then.
      return { kind: 'done' }
    }
    const answered = known !== null && (known.outcome.kind !== 'deferred' || known.attempt === task.attempt)
    const outcome = answered ? known.outcome : await ports.attempt(task)
    const attempt = answered ? known.attempt : task.attempt
    await Promise.all([
      ports.writeStatuses([{ queueId, n, incarnation: task.incarnation, attempt, ...outcome }]),
      outcome.kind === 'deferred' ? publishRetry(ports, { ...task, attempt }, outcome) : undefined,
    ])
    if (!answered) ports.counted(outcome)
    const { kind, ...facts } = outcome
    log.info(
      { queueId, n, forwardPath: task.forwardPath, site: task.site, attempt, ...facts },
      answered ? `${kind} before` : kind,
    )
    return { kind: 'done' }
  }
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
