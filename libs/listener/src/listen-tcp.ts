/** The front door of IMAP and POP3: PROXY header, limits and TLS before a session sees the connection. */
import { once } from 'node:events'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'

import type { Logger } from 'pino'

import { Certificates, type TlsFiles } from './certificates.ts'
import { ConnectionCount, type ConnectionLimits, type Overload } from './limits.ts'
import type { Listener } from './listen-smtp.ts'
import type { ConnectionMetrics } from './metrics.ts'
import { Networks, plainAddress } from './networks.ts'
import { readProxyHeader } from './proxy-protocol.ts'
import { handshake, TcpConnection } from './tcp-connection.ts'

export interface TcpListenOptions extends Partial<ConnectionLimits> {
  port: number
  host?: string
  /** Without it STARTTLS cannot be offered. */
  tls?: TlsFiles
  /** TLS from the first byte — RFC 8314 §3.2. */
  implicitTls?: boolean
  /** Balancers that name their client by the PROXY protocol. */
  trustedProxies?: readonly string[]
  /** PROXY header and TLS handshake together. */
  handshakeTimeoutMs?: number
  /** What a client over a limit is told, with its line ending. */
  refusal(reason: Overload): string
  metrics: ConnectionMetrics
  log: Logger
}

export const tcpDefaults = {
  maxConnections: 10_000,
  maxConnectionsPerClient: 500,
  handshakeTimeoutMs: 30_000,
}

/** The session of one connection: resolves when it is over. The socket is closed then. */
export type Session = (connection: TcpConnection) => Promise<void>

/** Sockets over the limit that may still be told so. */
const REFUSAL_ROOM = 64

/** Resolves when the port is open. */
export async function listenTcp(session: Session, options: TcpListenOptions): Promise<Listener> {
  const certificates = options.tls ? await Certificates.load(options.tls, options.log) : null
  if (options.implicitTls && !certificates) throw new Error('implicit TLS needs a certificate')
  const door = new Door(session, options, certificates)
  const server = createServer({ noDelay: true }, (socket) => void door.open(socket))
  server.maxConnections = (options.maxConnections ?? tcpDefaults.maxConnections) + REFUSAL_ROOM
  server.listen(options.port, options.host ?? '::')
  try {
    await once(server, 'listening')
  } catch (cause) {
    certificates?.close()
    throw cause
  }
  // No descriptors left, for example: sessions go on, and so do we when there are some again.
  server.on('error', (err) => options.log.error({ err }, 'connection not accepted'))
  const { port } = server.address() as AddressInfo // A TCP port has an address with a port.
  return {
    port,
    async close(deadlineMs) {
      await door.drain(server, deadlineMs)
      certificates?.close()
    },
  }
}

class Door {
  readonly #session: Session
  readonly #options: TcpListenOptions & typeof tcpDefaults
  readonly #certificates: Certificates | null
  readonly #proxies: Networks
  readonly #count: ConnectionCount
  readonly #draining = new AbortController()
  /** Every socket, and whether a session has it: one that waits for its handshake has nobody to say goodbye to. */
  readonly #sockets = new Map<Socket, boolean>()

  constructor(session: Session, options: TcpListenOptions, certificates: Certificates | null) {
    this.#session = session
    this.#options = { ...tcpDefaults, ...options }
    this.#certificates = certificates
    this.#proxies = new Networks(options.trustedProxies ?? [])
    this.#count = new ConnectionCount(this.#options)
  }

  async open(socket: Socket): Promise<void> {
    const { log } = this.#options
    const peer = plainAddress(socket.remoteAddress ?? '')
    socket.on('error', (err) => log.debug({ clientAddress: peer, err: err.message }, 'connection failed'))
    socket.once('close', () => this.#sockets.delete(socket))
    this.#sockets.set(socket, false)
    try {
      await this.#admit(socket, peer)
    } catch (err) {
      log.error({ err, clientAddress: peer }, 'session failed')
    } finally {
      socket.destroy()
    }
  }

  async drain(server: Server, deadlineMs: number): Promise<void> {
    const closed = once(server, 'close')
    server.close()
    this.#draining.abort()
    for (const [socket, inSession] of this.#sockets) if (!inSession) socket.destroy()
    const timer = setTimeout(() => {
      for (const socket of this.#sockets.keys()) socket.destroy()
    }, deadlineMs)
    await closed
    clearTimeout(timer)
  }

  async #admit(plain: Socket, peer: string): Promise<void> {
    const { metrics, log } = this.#options
    const timer = setTimeout(() => plain.destroy(), this.#options.handshakeTimeoutMs)
    let client: { address: string; port: number }
    try {
      client = await this.#client(plain, peer)
    } catch (err) {
      metrics.connections.inc({ outcome: 'proxy_refused' })
      return log.warn({ err, proxy: peer }, 'connection refused')
    } finally {
      clearTimeout(timer)
    }
    const overload = this.#count.enter(client.address)
    if (overload) {
      metrics.connections.inc({ outcome: overload === 'total' ? 'busy' : 'busy_client' })
      // Before a handshake there is no way to say it.
      if (this.#options.implicitTls) return
      plain.write(this.#options.refusal(overload))
      return finish(plain)
    }
    metrics.open.inc()
    try {
      await this.#serve(plain, client)
    } finally {
      metrics.open.dec()
      this.#count.leave(client.address)
    }
  }

  async #client(plain: Socket, peer: string): Promise<{ address: string; port: number }> {
    const itself = { address: peer, port: plain.remotePort ?? 0 }
    return this.#proxies.includes(peer) ? ((await readProxyHeader(plain)) ?? itself) : itself
  }

  async #serve(plain: Socket, client: { address: string; port: number }): Promise<void> {
    const { metrics, log, handshakeTimeoutMs, implicitTls } = this.#options
    const context = this.#certificates
    let socket = plain
    if (implicitTls && context) {
      try {
        socket = await handshake(plain, context.context, handshakeTimeoutMs)
      } catch (cause) {
        metrics.connections.inc({ outcome: 'tls_failed' })
        return log.info({ clientAddress: client.address, err: String(cause) }, 'handshake failed')
      }
    }
    metrics.connections.inc({ outcome: 'accepted' })
    const connection = new TcpConnection(socket, {
      ...client,
      context: () => context?.context ?? null,
      handshakeTimeoutMs,
      draining: this.#draining.signal,
      secured: ({ version }) => metrics.tls.inc({ version }),
    })
    this.#sockets.set(plain, true)
    try {
      await this.#session(connection)
    } finally {
      await finish(connection.socket)
    }
  }
}

/** How long a client may take to close its side after we closed ours. */
const LINGER_MS = 5000

/** Lets what was written reach the client before the socket goes. */
async function finish(socket: Socket): Promise<void> {
  if (socket.destroyed) return
  const closed = once(socket, 'close').catch(() => {})
  const timer = setTimeout(() => socket.destroy(), LINGER_MS)
  socket.resume()
  socket.end()
  await closed
  clearTimeout(timer)
}
