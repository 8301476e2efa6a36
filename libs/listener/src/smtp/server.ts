/**
 * smtp-server's server with our sessions in it: it listens, does the TLS handshakes and keeps the sockets; PROXY headers,
 * limits and draining are ours.
 *
 * What is overridden here and in channel.ts is pinned by `pinned.test.ts`: an upgrade of smtp-server that changes it fails
 * there first.
 */
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'

import type { Tracer } from '@postbus/tracing'
import type { Logger } from 'pino'
import { SMTPServer } from 'smtp-server'
import type { SMTPConnectionOptions } from 'smtp-server/lib/smtp-connection.js'

import type { CertificatePair } from '../certificates.ts'
import { ConnectionCount } from '../limits.ts'
import { Networks, plainAddress } from '../networks.ts'
import { readProxyHeader } from '../proxy-protocol.ts'
import { SmtpChannel } from './channel.ts'
import type { SmtpMetrics } from './metrics.ts'
import { smtpDefaults, type SmtpHandlers, type SmtpListenOptions, type SmtpRules } from './types.ts'

/** Sockets over the limit that may still be told so; more than these wait in the kernel's queue or are dropped. */
const REFUSAL_ROOM = 64
const SWEEPS_PER_TIMEOUT = 10

type SocketOptions = SMTPConnectionOptions & { id: string }
type ProxyCallback = (error: Error | null, options?: SocketOptions) => void

export class SmtpServer extends SMTPServer {
  readonly handlers: SmtpHandlers
  readonly rules: SmtpRules
  readonly domain: string
  readonly metrics: SmtpMetrics
  readonly log: Logger
  readonly tracer: Tracer | null
  readonly count: ConnectionCount
  readonly startTlsOffered: boolean
  readonly authRequired: boolean
  readonly bearerLogin: boolean
  readonly #proxies: Networks
  readonly #channels = new Set<SmtpChannel>()
  readonly #sweep: NodeJS.Timeout
  #draining = false

  constructor(handlers: SmtpHandlers, options: SmtpListenOptions, certificate: CertificatePair | null) {
    const rules = { ...smtpDefaults, ...options }
    super({
      secure: options.implicitTls ?? false,
      // PROXY header and handshake; a session has a timeout of its own.
      socketTimeout: rules.handshakeTimeoutMs,
      logger: false,
      ...certificate,
    })
    this.handlers = handlers
    this.rules = rules
    this.domain = options.name
    this.metrics = options.metrics
    this.log = options.log
    this.tracer = options.tracer ?? null
    this.count = new ConnectionCount(rules)
    this.startTlsOffered = certificate !== null && !options.implicitTls
    this.authRequired = options.authRequired ?? false
    this.bearerLogin = options.bearerLogin ?? false
    this.#proxies = new Networks(options.trustedProxies ?? [])
    this.server.maxConnections = rules.maxConnections + REFUSAL_ROOM
    // A client that sends its command letter by letter is never silent, and never done.
    this.#sweep = setInterval(() => {
      for (const channel of this.#channels) channel.checkDeadline()
    }, rules.idleTimeoutMs / SWEEPS_PER_TIMEOUT).unref()
    // Only handshakes of implicit TLS end here; sessions speak for themselves.
    this.on('error', (err: Error) => {
      this.metrics.connections.inc({ outcome: 'tls_failed' })
      this.log.info({ err: err.message }, 'handshake failed')
    })
  }

  get draining(): boolean {
    return this.#draining
  }

  override connect(socket: Socket | TLSSocket, options?: SMTPConnectionOptions | null): void {
    const channel = new SmtpChannel(this, socket, options)
    this.connections.add(channel)
    this.#channels.add(channel)
    channel.init()
  }

  forget(channel: SmtpChannel): void {
    this.#channels.delete(channel)
  }

  override _expectsProxyHeader(socket: Socket): boolean {
    return this.#proxies.includes(socket.remoteAddress ?? '')
  }

  override _handleProxy(socket: Socket, callback: ProxyCallback): void {
    const options: SocketOptions = { id: randomUUID() }
    if (!this._expectsProxyHeader(socket)) return callback(null, options)
    readProxyHeader(socket).then(
      (source) =>
        callback(null, source ? { ...options, remoteAddress: source.address, remotePort: source.port } : options),
      (error: Error) => {
        this.metrics.connections.inc({ outcome: 'proxy_refused' })
        this.log.warn({ proxy: plainAddress(socket.remoteAddress ?? ''), err: error.message }, 'connection refused')
        socket.on('error', () => {})
        socket.destroy()
        callback(error)
      },
    )
  }

  /** Takes no more connections; sessions end between two messages, and those still there at the deadline are cut. */
  async drain(deadlineMs: number): Promise<void> {
    this.#draining = true
    clearInterval(this.#sweep)
    const closed = once(this.server, 'close')
    this.server.close()
    // The topmost socket: destroying the one under a handshake crashes Node (smtp-server's own close says so too).
    for (const top of this._pendingSockets.values()) top.destroy()
    for (const channel of this.#channels) channel.endWhenIdle()
    const timer = setTimeout(() => {
      for (const channel of this.#channels) channel.endNow()
    }, deadlineMs)
    await closed
    clearTimeout(timer)
  }
}
