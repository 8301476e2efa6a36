/**
 * mail.local → the mailbox, durably → mail.status.
 *
 * Safe to run twice on one task: the delivery key is looked at before the spool is opened and again in the transaction that
 * writes it; what was done is reported again, in the same words.
 */
import { BusFull, BusUnavailable, DependencyUnavailable, type Handler, type StatusWriter } from '@postbus/bus'
import type { MailLocal, Status } from '@postbus/contracts'
import { CorruptRecord, NoSuchRecord } from '@postbus/spool'
import { currentTrace } from '@postbus/tracing'

import { deliverLocal, type DeliverPorts, type LocalOutcome } from '../mailbox/deliver-local.ts'
import { StorageUnavailable } from '../mailbox/storage.ts'
import type { MailstoreMetrics } from '../metrics.ts'

/** A record that is missing so often is gone, not late; the task is then kept for an operator. */
const TRIES_WITHOUT_RECORD = 10

interface Outside {
  statuses: StatusWriter
  metrics: Pick<MailstoreMetrics, 'deliveries' | 'timeToInbox'>
}

export function onMailLocal(ports: DeliverPorts, { statuses, metrics }: Outside): Handler<typeof MailLocal.schema> {
  return async (task, { log, deliveries }) => {
    const { account, n, size } = task
    const begun = ports.now()
    let outcome: LocalOutcome
    try {
      outcome = await deliverLocal(task, ports)
    } catch (error) {
      if (error instanceof CorruptRecord) return { kind: 'reject', reason: 'the spool record is damaged' }
      if (error instanceof NoSuchRecord && deliveries >= TRIES_WITHOUT_RECORD) {
        return { kind: 'reject', reason: 'there is no spool record' }
      }
      throw asDependency(error)
    }
    if (outcome.kind === 'delivered' && !outcome.repeat) {
      const seconds = Math.max(0, ports.now() - Date.parse(task.acceptedAt)) / 1000
      metrics.timeToInbox.observe(seconds, currentTrace()?.traceId)
    }
    // The mailbox is durable by now. Before the task is acknowledged: after it, losing the status leaves the recipient open.
    await statuses.write([statusOf(task, outcome, { begun, now: ports.now() })])
    metrics.deliveries.inc({ outcome: outcome.kind === 'delivered' && outcome.repeat ? 'repeat' : outcome.kind })
    if (outcome.kind === 'delivered') log.info({ n, account, size, repeat: outcome.repeat }, 'delivered')
    else log.info({ n, account, status: outcome.status, rule: outcome.rule }, 'failed')
    return { kind: 'done' }
  }
}

function statusOf(
  { queueId, incarnation, n, account }: MailLocal,
  outcome: LocalOutcome,
  { begun, now }: { begun: number; now: number },
): Status {
  const tookMs = Math.max(0, now - begun)
  const common = { queueId, incarnation, n, attempt: 0, at: new Date(now).toISOString(), tookMs }
  if (outcome.kind === 'delivered') return { ...common, kind: 'delivered', account }
  const { status, reason, rule } = outcome
  return { ...common, kind: 'failed', status, reason, rule }
}

/** What is down is waited for; nothing is counted against the message. */
function asDependency(error: unknown): unknown {
  if (error instanceof StorageUnavailable || error instanceof BusUnavailable || error instanceof BusFull) {
    return new DependencyUnavailable(error.message, { cause: error })
  }
  return error
}
