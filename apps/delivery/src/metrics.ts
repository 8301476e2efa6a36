import type { ActResult } from '@postbus/contracts'
import { Counter, Gauge, type Registry } from 'prom-client'

import type { Outcome } from './attempt/outcome.ts'

export interface DeliveryMetrics {
  counted(outcome: Outcome): void
  lanes(owned: number): void
  signed(result: 'signed' | 'unsigned'): void
  acted(act: string, result: ActResult): void
}

export function deliveryMetrics(registry: Registry): DeliveryMetrics {
  /** outcome: relayed, deferred, failed, expired */
  const attempts = new Counter({
    name: 'mail_delivery_attempts_total',
    help: 'Attempts by outcome, per recipient.',
    labelNames: ['outcome'],
    registers: [registry],
  })
  const lanes = new Gauge({ name: 'mail_delivery_lanes', help: 'Lanes this process owns.', registers: [registry] })
  const signing = new Counter({
    name: 'mail_delivery_signing_total',
    help: 'Messages of our own, by whether a domain had a DKIM key for them.',
    labelNames: ['result'], // signed, unsigned
    registers: [registry],
  })
  /** act: retry, hold, release, cancel, reroute; result: as the contract names them */
  const acts = new Counter({
    name: 'mail_delivery_acts_total',
    help: "Operators' acts, per recipient.",
    labelNames: ['act', 'result'],
    registers: [registry],
  })
  return {
    acted: (act, result) => acts.inc({ act, result }),
    counted: ({ kind }) => attempts.inc({ outcome: kind }),
    lanes: (owned) => lanes.set(owned),
    signed: (result) => signing.inc({ result }),
  }
}
