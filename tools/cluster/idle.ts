/**
 * Does nothing, in a pod that people call the `postbus` command in. Healthy while it turns; ready when the key is there and one server
 * of the bus takes a connection.
 */
import { once } from 'node:events'
import { access } from 'node:fs/promises'
import { createServer } from 'node:http'
import { connect } from 'node:net'

import type { IdleConfig } from './settings.ts'

const DIAL_TIMEOUT_MS = 2_000

export async function idle(config: IdleConfig): Promise<void> {
  const health = createServer((request, response) => {
    if (request.url !== '/readyz') return void response.writeHead(request.url === '/healthz' ? 200 : 404).end()
    readiness(config).then(
      () => response.end('ready\n'),
      (error: unknown) => response.writeHead(503).end(`${String(error)}\n`),
    )
  })
  health.listen(config.HEALTH_PORT, config.HEALTH_HOST)
  await Promise.race([once(process, 'SIGTERM'), once(process, 'SIGINT')])
  health.close()
  health.closeAllConnections()
}

async function readiness({ NATS_NKEY_FILE, NATS_URL }: IdleConfig): Promise<void> {
  await access(NATS_NKEY_FILE)
  await Promise.any(NATS_URL.split(',').map((url) => reach(new URL(url.trim()))))
}

async function reach({ hostname, port }: URL): Promise<void> {
  const socket = connect({ host: hostname, port: Number(port), timeout: DIAL_TIMEOUT_MS })
  try {
    socket.on('timeout', () => socket.destroy(new Error(`${hostname} does not answer`)))
    await once(socket, 'connect')
  } finally {
    socket.destroy()
  }
}
