import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'

/** What a trace header and a log line say about the session's protection. */
export interface TlsFacts {
  version: string
  cipher: string
}

export function tlsFacts(socket: Socket): TlsFacts | null {
  if (!(socket instanceof TLSSocket)) return null
  const { standardName, name } = socket.getCipher()
  return { version: socket.getProtocol() ?? 'unknown', cipher: standardName || name }
}
