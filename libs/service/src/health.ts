/**
 * The health port: `/metrics`, `/healthz`, `/readyz`.
 *
 * `/healthz` answers as long as the event loop turns, and asks nobody else: restarting a process because something it depends on is
 * down would only add to the outage. `/readyz` says whether work should be sent here, and every reason why not.
 */
import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'

import { exposition, type MetricsRegistry, processMetrics } from '@postbus/metrics'

export interface HealthOptions {
  host: string
  port: number
  metrics: MetricsRegistry
  /** Reasons for not being ready; none: ready. */
  reasons(): string[]
}

export interface Health {
  readonly port: number
  close(): Promise<void>
}

export async function serveHealth({ host, port, metrics, reasons }: HealthOptions): Promise<Health> {
  const registries = [metrics, processMetrics()]
  const answer: RequestListener = (request, response) => {
    const path = request.url?.split('?')[0]
    if (path === '/healthz') return void response.end('ok\n')
    if (path === '/readyz') {
      const why = reasons()
      response.writeHead(why.length === 0 ? 200 : 503, { 'content-type': 'application/json' })
      return void response.end(`${JSON.stringify({ ready: why.length === 0, reasons: why })}\n`)
    }
    if (path !== '/metrics') return void response.writeHead(404).end()
    exposition(registries, request.headers.accept).then(
      ({ contentType, text }) => response.writeHead(200, { 'content-type': contentType }).end(text),
      (error: unknown) => response.writeHead(500).end(String(error)),
    )
  }
  const server = createServer(answer)
  server.listen(port, host)
  await once(server, 'listening')
  // A TCP server has an address once it listens.
  const { port: actual } = server.address() as AddressInfo
  return {
    port: actual,
    async close() {
      const closed = once(server, 'close')
      server.close()
      server.closeAllConnections()
      await closed
    },
  }
}
