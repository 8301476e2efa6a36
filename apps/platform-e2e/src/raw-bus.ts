/** The bus as somebody sees it who may do everything there: for scenarios that bring in what no service would. */
import { jetstreamManager, type JetStreamManager } from '@nats-io/jetstream'
import { createUser, type KeyPair } from '@nats-io/nkeys'
import { connect, nkeyAuthenticator, type NatsConnection } from '@nats-io/transport-node'

import type { Ready } from './platform.ts'

export interface Administrator {
  /** For the start tool: only whom it is told of may log in. */
  args: string[]
  connect(ready: Ready): Promise<NatsConnection>
}

export function administrator(): Administrator {
  const key: KeyPair = createUser()
  return {
    args: ['--bus-admin', key.getPublicKey()],
    connect: ({ bus }) =>
      connect({
        servers: bus.url.split(','),
        ...(bus.ca !== null && { tls: { caFile: bus.ca } }),
        authenticator: nkeyAuthenticator(key.getSeed()),
        maxReconnectAttempts: -1,
      }),
  }
}

export const managerOf = (connection: NatsConnection): Promise<JetStreamManager> =>
  jetstreamManager(connection, { checkAPI: false })
