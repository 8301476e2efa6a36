/** What every listener of a service counts; made once per registry and shared by its listeners. */
import { type CounterOf, counter, type GaugeOf, gauge, type MetricsRegistry, openMetrics, seen } from '@postbus/metrics'

const outcomes = ['accepted', 'busy', 'busy_client', 'proxy_refused', 'tls_failed'] as const

export const connectionTable = {
  connections: counter('mail_connections_total', 'Connections by what became of them.', { outcome: outcomes }),
  open: gauge('mail_open_connections', 'Connections now.'),
  tls: counter('mail_tls_sessions_total', 'TLS sessions that clients began.', { version: seen('TLSv1.2, TLSv1.3') }),
}

export interface ConnectionMetrics {
  connections: CounterOf<{ outcome: typeof outcomes }>
  open: Pick<GaugeOf, 'inc' | 'dec'>
  tls: CounterOf<{ version: ReturnType<typeof seen> }>
}

export const connectionMetrics = (registry: MetricsRegistry): ConnectionMetrics =>
  openMetrics(connectionTable, registry)
