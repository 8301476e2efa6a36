import { type ActResult, LANES, laneOf, type MailOut } from '@postbus/contracts'
import {
  counter,
  gauge,
  histogram,
  type MetricsRegistry,
  openMetrics,
  SECONDS,
  seen,
  tracedHistogram,
} from '@postbus/metrics'

import type { Outcome } from './attempt/outcome.ts'
import type { SchedulerState } from './lanes/scheduler.ts'

const acts = ['retry', 'hold', 'release', 'cancel', 'reroute'] as const

/** Why an attempt came to nothing, by the subject of its enhanced status — RFC 3463 §4. */
const reasons = ['other', 'address', 'mailbox', 'system', 'network', 'protocol', 'content', 'policy'] as const
export type Reason = (typeof reasons)[number]

export const deliveryTable = {
  timeToFirstAttempt: tracedHistogram(
    'mail_time_to_first_attempt_seconds',
    'From the acceptance of a message to the beginning of its first transaction with a host, per recipient, by the clocks of both machines.',
    [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 7200],
  ),
  attempts: counter('mail_delivery_attempts_total', 'Attempts by outcome, per recipient.', {
    outcome: ['relayed', 'deferred', 'failed', 'expired', 'held', 'released', 'discarded', 'cancelled'],
  }),
  laneAttempts: counter('mail_delivery_lane_attempts_total', 'The same by lane.', {
    lane: Array.from({ length: LANES }, (_, lane) => String(lane).padStart(2, '0')),
  }),
  unsuccessful: counter(
    'mail_delivery_unsuccessful_total',
    'Recipients deferred, failed or expired, by the subject of the enhanced status (RFC 3463 §4) and by who said so: the peer, or we for it.',
    { outcome: ['deferred', 'failed', 'expired'], reason: reasons, by: ['peer', 'us'] },
  ),
  transaction: histogram(
    'mail_delivery_transaction_seconds',
    'One message to one site: from looking for its hosts to the last answer.',
    SECONDS,
  ),
  sessions: counter(
    'mail_delivery_sessions_total',
    'SMTP and LMTP sessions with other hosts, by TLS and what was asked for.',
    {
      tls: seen('TLSv1.2, TLSv1.3, none'),
      policy: seen<TlsPolicy>('none, opportunistic, required, implicit'),
    },
  ),
  sessionFailures: counter(
    'mail_delivery_session_failures_total',
    'Sessions with other hosts that did not come about.',
    {
      reason: ['connection', 'tls', 'refused'],
    },
  ),
  spilled: counter(
    'mail_delivery_spilled_total',
    'Tasks put back for later because their site had no room; nothing was tried.',
  ),
  suspended: counter('mail_delivery_suspended_total', 'Tasks deferred without a try because their site is in trouble.'),
  signing: counter('mail_delivery_signing_total', 'Messages of our own, by whether a domain had a DKIM key for them.', {
    result: ['signed', 'unsigned'],
  }),
  acts: counter('mail_delivery_acts_total', "Operators' acts, per recipient.", {
    act: acts,
    result: ['done', 'attempting', 'ended', 'held', 'notHeld', 'unknown'],
  }),
  lanes: gauge('mail_delivery_lanes', 'Lanes this process owns.'),
  ready: gauge('mail_delivery_ready_tasks', 'Tasks in hand that wait for their transaction.'),
  running: gauge('mail_delivery_transactions', 'Transactions under way.'),
  slots: gauge('mail_delivery_slots', 'Transactions this process may have under way.'),
  breakers: gauge('mail_delivery_breakers_open', 'Sites that are left alone.'),
  replicas: gauge('mail_delivery_replicas', 'Replicas of delivery that are alive, with this one.'),
}

/** As the router numbers them. */
const FIRST_ATTEMPT = 1

export type TlsPolicy = 'none' | 'opportunistic' | 'required' | 'implicit'

export interface DeliveryMetrics {
  /** A transaction with a host begins. */
  begun(tasks: readonly MailOut[]): void
  /** @returns to be called at its end */
  transacting(): () => void
  /** @param traceId of the task's trace */
  counted(task: MailOut, outcome: Outcome, traceId: string | undefined): void
  session(tls: string, policy: TlsPolicy): void
  sessionFailed(reason: 'connection' | 'tls' | 'refused'): void
  spilled(tasks: number): void
  suspended(tasks: number): void
  lanes(owned: number): void
  signed(result: 'signed' | 'unsigned'): void
  acted(act: (typeof acts)[number], result: ActResult): void
  /** Asked whenever somebody reads the metrics. */
  watch(now: { scheduler(): SchedulerState; replicas(): number; slots: number }): void
}

export function deliveryMetrics(registry: MetricsRegistry): DeliveryMetrics {
  const metrics = openMetrics(deliveryTable, registry)
  /** When the first attempt of a task in hand began (ms). */
  const firstAttempts = new WeakMap<MailOut, number>()
  return {
    begun(tasks) {
      for (const task of tasks) if (task.attempt === FIRST_ATTEMPT) firstAttempts.set(task, Date.now())
    },
    transacting() {
      const begun = performance.now()
      return () => metrics.transaction.observe((performance.now() - begun) / 1000)
    },
    counted(task, outcome, traceId) {
      metrics.attempts.inc({ outcome: outcome.kind })
      metrics.laneAttempts.inc({ lane: laneOf(task.site) })
      if (outcome.kind === 'deferred' || outcome.kind === 'failed' || outcome.kind === 'expired') {
        const by = outcome.reply === undefined ? 'us' : 'peer'
        metrics.unsuccessful.inc({ outcome: outcome.kind, reason: reasonOf(outcome.status), by })
      }
      const begun = firstAttempts.get(task)
      if (begun === undefined) return
      metrics.timeToFirstAttempt.observe(Math.max(0, begun - Date.parse(task.acceptedAt)) / 1000, traceId)
    },
    session: (tls, policy) => metrics.sessions.inc({ tls, policy }),
    sessionFailed: (reason) => metrics.sessionFailures.inc({ reason }),
    acted: (act, result) => metrics.acts.inc({ act, result }),
    spilled: (tasks) => metrics.spilled.inc(tasks),
    suspended: (tasks) => metrics.suspended.inc(tasks),
    lanes: (owned) => metrics.lanes.set(owned),
    signed: (result) => metrics.signing.inc({ result }),
    watch({ scheduler, replicas, slots }) {
      metrics.slots.set(slots)
      metrics.ready.whenRead(() => metrics.ready.set(scheduler().waiting))
      metrics.running.whenRead(() => metrics.running.set(scheduler().running))
      metrics.breakers.whenRead(() => metrics.breakers.set(scheduler().breakersOpen))
      metrics.replicas.whenRead(() => metrics.replicas.set(replicas()))
    },
  }
}

/** RFC 3463 §3: the second number. */
export const reasonOf = (status: string): Reason => reasons[Number(status.split('.')[1])] ?? 'other'
