/** What every listener of a service counts; made once per registry and shared by its listeners. */
import { Counter, Gauge, type Registry } from 'prom-client'

export interface ConnectionMetrics {
  /** outcome: accepted, busy, busy_client, proxy_refused, tls_failed */
  connections: Counter<'outcome'>
  open: Gauge
  /** version: TLSv1.2, TLSv1.3 */
  tls: Counter<'version'>
}

/** @param app the service's name: `mail_<app>_…` */
export function connectionMetrics(registry: Registry, app: string): ConnectionMetrics {
  const registers = [registry]
  return {
    connections: new Counter({
      name: `mail_${app}_connections_total`,
      help: 'Connections by what became of them',
      labelNames: ['outcome'],
      registers,
    }),
    open: new Gauge({ name: `mail_${app}_open_connections`, help: 'Connections now', registers }),
    tls: new Counter({
      name: `mail_${app}_tls_sessions_total`,
      help: 'TLS sessions by version',
      labelNames: ['version'],
      registers,
    }),
  }
}
