/** An SMTP port: 25, 587 or 465. */
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'

import { Certificates } from './certificates.ts'
import { SmtpServer } from './smtp/server.ts'
import type { SmtpHandlers, SmtpListenOptions } from './smtp/types.ts'

export interface Listener {
  readonly port: number
  /**
   * Takes no new connections and lets sessions come to an end: between two messages at once, inside one when it is
   * answered. Those still there at the deadline are cut.
   */
  close(deadlineMs: number): Promise<void>
}

/** Resolves when the port is open. */
export async function listenSmtp(handlers: SmtpHandlers, options: SmtpListenOptions): Promise<Listener> {
  const certificates = options.tls ? await Certificates.load(options.tls, options.log) : null
  if (options.implicitTls && !certificates) throw new Error('implicit TLS needs a certificate')
  const server = new SmtpServer(handlers, options, certificates?.pair ?? null)
  certificates?.onChange((pair) => server.updateSecureContext(pair))
  const listening = server.listen(options.port, options.host ?? '::')
  try {
    await once(listening, 'listening')
  } catch (cause) {
    certificates?.close()
    throw cause
  }
  const { port } = listening.address() as AddressInfo // A TCP port has an address with a port.
  return {
    port,
    async close(deadlineMs) {
      await server.drain(deadlineMs)
      certificates?.close()
    },
  }
}
