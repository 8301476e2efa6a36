import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'

/** What a trace header and a log line say about the session's protection. */
export interface TlsFacts {
  version: string
  cipher: string
}

/** A socket that is closed does not know any more, and is still asked for its last log line. */
const seen = new WeakMap<TLSSocket, TlsFacts>()

export function tlsFacts(socket: Socket): TlsFacts | null {
  if (!(socket instanceof TLSSocket)) return null
  const known = seen.get(socket)
  if (known) return known
  const version = socket.getProtocol()
  // Null when the handshake was never done; its type does not say so.
  const cipher: { standardName?: string; name: string } | null = socket.getCipher()
  if (version === null || cipher === null) return { version: 'unknown', cipher: 'unknown' }
  const facts = { version, cipher: cipher.standardName || cipher.name }
  seen.set(socket, facts)
  return facts
}
