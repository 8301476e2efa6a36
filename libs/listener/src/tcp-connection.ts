/** One connection of a protocol whose sessions are ours: IMAP, POP3. */
import { randomUUID } from 'node:crypto'
import type { Socket } from 'node:net'
import { type SecureContext, TLSSocket } from 'node:tls'

import { channelBinding } from './channel-binding.ts'
import { type TlsFacts, tlsFacts } from './tls-facts.ts'

export interface TcpConnectionFacts {
  /** The client's, not the balancer's. */
  address: string
  port: number
  /** For STARTTLS; null where it cannot be offered. */
  context(): SecureContext | null
  handshakeTimeoutMs: number
  draining: AbortSignal
  /** A TLS session began, at once or by STARTTLS. */
  secured(tls: TlsFacts): void
}

export class TcpConnection {
  readonly sessionId = randomUUID()
  readonly #facts: TcpConnectionFacts
  readonly #gone = new AbortController()
  #socket: Socket

  constructor(socket: Socket, facts: TcpConnectionFacts) {
    this.#facts = facts
    this.#socket = this.#begun(socket)
    socket.once('close', () => this.#gone.abort())
  }

  /** Bytes to and from the client; another one after `startTls`. Errors on it are heard elsewhere: wait for its close. */
  get socket(): Socket {
    return this.#socket
  }

  get address(): string {
    return this.#facts.address
  }

  get port(): number {
    return this.#facts.port
  }

  get tls(): TlsFacts | null {
    return tlsFacts(this.#socket)
  }

  /** What ties a login to this very TLS session; null without TLS, or when it has none of this type. */
  channelBinding(type: string): Uint8Array | null {
    return channelBinding(this.#socket, type)
  }

  get canStartTls(): boolean {
    return this.tls === null && this.#facts.context() !== null
  }

  /** Aborted when the service stops: the session says goodbye at the next moment its protocol allows, and ends. */
  get draining(): AbortSignal {
    return this.#facts.draining
  }

  /** Aborted when the connection is gone: not yet when the client has closed only its side, as far as anybody can tell. */
  get signal(): AbortSignal {
    return this.#gone.signal
  }

  /**
   * Says yes to STARTTLS and does the handshake. What the client pipelined behind its command is dropped here; what the
   * session has read already it must forget itself, so that nothing said in the clear is obeyed afterwards.
   * @param agreement the line that says yes
   * @throws when the handshake fails; the connection is gone then
   */
  async startTls(agreement: string): Promise<void> {
    const context = this.#facts.context()
    if (!context || this.tls) throw new Error('STARTTLS is not possible now')
    const plain = this.#socket
    for (const event of ['data', 'readable', 'end']) plain.removeAllListeners(event)
    plain.pause()
    while (plain.read() !== null); // Before the client can know that we agree: none of this is its handshake.
    plain.write(agreement)
    plain.allowHalfOpen = false // The end of a handshake is the end of everything.
    this.#socket = this.#begun(await handshake(plain, context, this.#facts.handshakeTimeoutMs))
  }

  /** A client that has said all it has to say, and closed its side, still hears the answers. The session sees the end of its input. */
  #begun(socket: Socket): Socket {
    socket.allowHalfOpen = true
    const tls = tlsFacts(socket)
    if (tls) this.#facts.secured(tls)
    return socket
  }
}

/** The server's side of a TLS handshake on an open connection. @throws when it fails or takes too long; the socket is gone then */
export function handshake(plain: Socket, secureContext: SecureContext, timeoutMs: number): Promise<TLSSocket> {
  const { promise, resolve, reject } = Promise.withResolvers<TLSSocket>()
  const secure = new TLSSocket(plain, { isServer: true, secureContext })
  const timer = setTimeout(() => secure.destroy(new Error('TLS handshake took too long')), timeoutMs)
  const failed = (cause?: Error): void => {
    secure.destroy()
    reject(cause instanceof Error ? cause : new Error('connection ended in the TLS handshake'))
  }
  secure.once('secure', () => resolve(secure))
  for (const event of ['error', '_tlsError', 'close']) secure.once(event, failed)
  return promise.finally(() => {
    clearTimeout(timer)
    secure.off('close', failed)
    // The 'error' listeners stay out of the way of the session's, but there must be one.
    secure.on('error', () => {})
  })
}
