/**
 * Does nothing, in a pod that people call the `postbus` command in. Healthy while it turns; ready while it is connected to the bus with
 * the operator's key, as the command will be.
 */
import { once } from 'node:events'
import { createServer } from 'node:http'

import { connectBus } from '@postbus/bus'
import { pino } from 'pino'

import type { IdleConfig } from './settings.ts'

export async function idle(config: IdleConfig): Promise<void> {
  const ending = new AbortController()
  let isConnected = (): boolean => false
  const health = createServer(({ url }, response) => {
    if (url === '/healthz') return void response.end('ok\n')
    if (url !== '/readyz') return void response.writeHead(404).end()
    if (isConnected()) return void response.end('ready\n')
    response.writeHead(503).end('not connected to the bus\n')
  })
  health.listen(config.HEALTH_PORT, config.HEALTH_HOST)
  const stopped = Promise.race([once(process, 'SIGTERM'), once(process, 'SIGINT')]).then(() => ending.abort())
  const connecting = connectBus({
    servers: config.NATS_URL.split(',').map((server) => server.trim()),
    party: 'operator',
    nkeyFile: config.NATS_NKEY_FILE,
    ...(config.NATS_CA_FILE && { tls: { caFile: config.NATS_CA_FILE } }),
    log: pino({ name: 'operator' }),
    signal: ending.signal,
  })
  void connecting.then(
    (bus) => (isConnected = () => bus.connected),
    () => undefined,
  )
  await stopped
  await connecting.then(
    (bus) => bus.close(),
    () => undefined, // Given up, because the end came first.
  )
  health.close()
  health.closeAllConnections()
}
