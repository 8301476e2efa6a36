import { Counter, type Registry } from 'prom-client'

import type { Route } from './routing/route-message.ts'

export interface RouterMetrics {
  routed(route: Route): void
}

export function routerMetrics(registry: Registry): RouterMetrics {
  const messages = new Counter({
    name: 'mail_router_messages_total',
    help: 'Accepted messages whose work was published.',
    registers: [registry],
  })
  /** destination: local, remote, merged, failed, discarded */
  const recipients = new Counter({
    name: 'mail_router_recipients_total',
    help: 'Final recipients by what was decided about them.',
    labelNames: ['destination'],
    registers: [registry],
  })
  return {
    routed({ statuses }) {
      messages.inc()
      for (const status of statuses) {
        if (status.kind !== 'routed') {
          recipients.inc({ destination: status.kind })
          continue
        }
        for (const { destination } of status.recipients) {
          if (destination.kind !== 'ended') recipients.inc({ destination: destination.kind })
        }
      }
    },
  }
}
