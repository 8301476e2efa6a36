import { Counter, Gauge, type Registry } from 'prom-client'

import type { Outcome } from './attempt/outcome.ts'

export interface DeliveryMetrics {
  counted(outcome: Outcome): void
  lanes(owned: number): void
}

export function deliveryMetrics(registry: Registry): DeliveryMetrics {
  /** outcome: relayed, deferred, failed, expired, held, discarded */
  const attempts = new Counter({
    name: 'mail_delivery_attempts_total',
    help: 'Attempts by outcome, per recipient.',
    labelNames: ['outcome'],
    registers: [registry],
  })
  const lanes = new Gauge({ name: 'mail_delivery_lanes', help: 'Lanes this process owns.', registers: [registry] })
  return {
    counted: ({ kind }) => attempts.inc({ outcome: kind }),
    lanes: (owned) => lanes.set(owned),
  }
}
