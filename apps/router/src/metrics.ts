import { counter, type MetricsRegistry, openMetrics } from '@postbus/metrics'

import type { Route } from './routing/route-message.ts'

export const routerTable = {
  messages: counter('mail_router_messages_total', 'Accepted messages whose work was published.'),
  recipients: counter('mail_router_recipients_total', 'Final recipients by what was decided about them.', {
    destination: ['local', 'remote', 'merged', 'failed', 'discarded'],
  }),
}

export interface RouterMetrics {
  routed(route: Route): void
}

export function routerMetrics(registry: MetricsRegistry): RouterMetrics {
  const { messages, recipients } = openMetrics(routerTable, registry)
  return {
    routed({ statuses }) {
      messages.inc()
      for (const status of statuses) {
        if (status.kind === 'failed' || status.kind === 'discarded') recipients.inc({ destination: status.kind })
        if (status.kind !== 'routed') continue
        for (const { destination } of status.recipients) {
          if (destination.kind !== 'ended') recipients.inc({ destination: destination.kind })
        }
      }
    },
  }
}
