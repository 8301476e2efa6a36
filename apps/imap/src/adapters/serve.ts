/** A connection of the listener → a session of ours, until either ends. */
import type { Session as ServeSession, TcpConnection } from '@postbus/listener'

import type { ConnectionContext } from '../connection-context.ts'
import { Connection } from '../connection.ts'

export function serving(context: ConnectionContext): ServeSession {
  return async (connection) => {
    const session = new Connection(peerOf(connection), context)
    const goodbye = (): void => session.stop('UNAVAILABLE', 'Server is shutting down')
    const { draining } = connection
    draining.addEventListener('abort', goodbye, { once: true })
    if (draining.aborted) goodbye()
    try {
      await session.serve()
    } finally {
      draining.removeEventListener('abort', goodbye)
    }
  }
}

function peerOf(connection: TcpConnection) {
  const startTls = async (agreement: string) => {
    await connection.startTls(agreement)
    return connection.socket
  }
  return {
    id: connection.sessionId,
    stream: connection.socket,
    clientAddress: connection.address,
    tls: connection.tls !== null,
    channelBinding: (type: string) => connection.channelBinding(type),
    startTls: connection.canStartTls ? startTls : undefined,
  }
}
