import type { ActResult } from '@postbus/contracts'
import { Counter, Gauge, type Registry } from 'prom-client'

import type { Outcome } from './attempt/outcome.ts'
import type { SchedulerState } from './lanes/scheduler.ts'

export interface DeliveryMetrics {
  counted(outcome: Outcome): void
  spilled(tasks: number): void
  suspended(tasks: number): void
  lanes(owned: number): void
  signed(result: 'signed' | 'unsigned'): void
  acted(act: string, result: ActResult): void
  /** Asked whenever somebody reads the metrics. */
  watch(now: { scheduler(): SchedulerState; replicas(): number }): void
}

export function deliveryMetrics(registry: Registry): DeliveryMetrics {
  const registers = [registry]
  /** outcome: relayed, deferred, failed, expired, held, discarded */
  const attempts = new Counter({
    name: 'mail_delivery_attempts_total',
    help: 'Attempts by outcome, per recipient.',
    labelNames: ['outcome'],
    registers,
  })
  const spilled = new Counter({
    name: 'mail_delivery_spilled_total',
    help: 'Tasks put back for later because their site had no room; nothing was tried.',
    registers,
  })
  const suspended = new Counter({
    name: 'mail_delivery_suspended_total',
    help: 'Tasks deferred without a try because their site is in trouble.',
    registers,
  })
  const lanes = new Gauge({ name: 'mail_delivery_lanes', help: 'Lanes this process owns.', registers })
  const signing = new Counter({
    name: 'mail_delivery_signing_total',
    help: 'Messages of our own, by whether a domain had a DKIM key for them.',
    labelNames: ['result'], // signed, unsigned
    registers,
  })
  /** act: retry, hold, release, cancel, reroute; result: as the contract names them */
  const acts = new Counter({
    name: 'mail_delivery_acts_total',
    help: "Operators' acts, per recipient.",
    labelNames: ['act', 'result'],
    registers,
  })
  return {
    acted: (act, result) => acts.inc({ act, result }),
    counted: ({ kind }) => attempts.inc({ outcome: kind }),
    spilled: (tasks) => spilled.inc(tasks),
    suspended: (tasks) => suspended.inc(tasks),
    lanes: (owned) => lanes.set(owned),
    signed: (result) => signing.inc({ result }),
    watch({ scheduler, replicas }) {
      const gauge = (name: string, help: string, value: () => number) =>
        new Gauge({
          ...{ name, help, registers },
          collect() {
            this.set(value())
          },
        })
      gauge('mail_delivery_ready', 'Tasks in hand that wait for their transaction.', () => scheduler().waiting)
      gauge('mail_delivery_transactions', 'Transactions under way.', () => scheduler().running)
      gauge('mail_delivery_breakers_open', 'Sites that are left alone.', () => scheduler().breakersOpen)
      gauge('mail_delivery_replicas', 'Replicas of delivery that are alive, with this one.', replicas)
    },
  }
}
