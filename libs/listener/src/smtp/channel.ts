/**
 * One SMTP connection as smtp-server keeps it (socket, timeouts, STARTTLS upgrade), with our parser and our session on top. The one
 * place that knows the insides of smtp-server's connection.
 *
 * Put right here: the 100 ms wait before the greeting, and replies whose enhanced status is a guess from their code.
 *
 * STANDARDS  RFC 5321 §4.2 (replies), §4.5.3.1.5 (reply lines); RFC 2034 (enhanced statuses); RFC 3207 §4 (STARTTLS)
 */
import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'

import { SMTPConnection, type SMTPConnectionOptions } from 'smtp-server/lib/smtp-connection.js'

import { channelBinding } from '../channel-binding.ts'
import { type TlsFacts, tlsFacts } from '../tls-facts.ts'
import { MAX_COMMAND_LINE } from './command-line.ts'
import type { DataFraming } from './data-framing.ts'
import { MAX_SASL_LINE } from './login.ts'
import type { MessageBody } from './message-body.ts'
import { SmtpParser } from './parser.ts'
import type { SmtpServer } from './server.ts'
import { SmtpSession } from './session.ts'
import type { Reply } from './types.ts'

/** RFC 5321 §4.5.3.1.5: 512 octets with code and CRLF. */
const MAX_REPLY_TEXT = 480

export class SmtpChannel extends SMTPConnection {
  declare readonly _server: SmtpServer
  declare _parser: SmtpParser | false
  readonly #session: SmtpSession
  #counted = false
  /** The socket whose replies wait for the end of the turn. */
  #gathering: Socket | null = null
  /** A handshake under way has so long. */
  #handshake: NodeJS.Timeout | undefined
  #over = false

  constructor(server: SmtpServer, socket: Socket | TLSSocket, options?: SMTPConnectionOptions | null) {
    super(server, socket, options)
    this.#session = new SmtpSession(this, server)
  }

  /** The greeting goes out at once; smtp-server would wait 100 ms for clients that talk too soon. */
  override init(): void {
    const { count, metrics } = this._server
    this._socket.allowHalfOpen = true // Who has closed its side still hears the answers.
    this._setListeners(() => {
      const overload = count.enter(this.remoteAddress)
      if (overload) {
        metrics.connections.inc({ outcome: overload === 'total' ? 'busy' : 'busy_client' })
        this.reply({ code: 421, status: '4.7.0', lines: ['Too many connections, try again later'] })
        return
      }
      this.#counted = true
      metrics.connections.inc({ outcome: 'accepted' })
      metrics.open.inc()
      if (this.tls) metrics.tls.inc({ version: this.tls.version })
      this.#session.greet()
    })
  }

  get tls(): TlsFacts | null {
    return tlsFacts(this._socket)
  }

  /** What ties a login to this very TLS session; null without TLS, or when it has none of this type. */
  channelBinding(type: string): Uint8Array | null {
    return channelBinding(this._socket, type)
  }

  /** The parser must not hand out lines any more. */
  get over(): boolean {
    return this.#over
  }

  /** The one place replies are written. 421 ends the session. */
  reply({ code, status, lines }: Reply): void {
    // During the handshake a reply would be cleartext inside the record stream.
    if (this._upgrading || this.#over || !this._socket.writable) return
    const prefix = status === null ? '' : `${status} `
    const last = lines.length - 1
    const text = lines
      .map((line, index) => `${code}${index < last ? '-' : ' '}${prefix}${printable(line)}\r\n`)
      .join('')
    if (this._parser && this._parser.pending) this.#gather(this._socket)
    this._socket.write(text)
    this._server.metrics.replies.inc({ code: String(code) })
    if (code === 421) this.close()
  }

  /** More commands wait to be read: replies that come in this turn travel together — RFC 2920 §3.2. */
  #gather(socket: Socket): void {
    if (this.#gathering) return
    this.#gathering = socket
    socket.cork()
    setImmediate(() => this.#sendGathered())
  }

  #sendGathered(): void {
    this.#gathering?.uncork()
    this.#gathering = null
  }

  startData(framing: DataFraming, body: MessageBody): void {
    if (this._parser) this._parser.startData(framing, body)
  }

  /** Resolves for the parser of the plaintext, which is retired: what it still holds is dropped unread — RFC 3207 §6. */
  startTls(): Promise<void> {
    this.#sendGathered() // What is still to be said in the clear must not meet the handshake.
    const { promise, resolve } = Promise.withResolvers<void>()
    this._socket.allowHalfOpen = false // The end of a handshake is the end of everything.
    this.upgrade(resolve, () => {
      clearTimeout(this.#handshake)
      this._socket.allowHalfOpen = true
      if (this.tls) this._server.metrics.tls.inc({ version: this.tls.version })
      this.#session.secured()
    })
    return promise
  }

  /** Ends the session between two messages: now, if there is none. */
  endWhenIdle(): void {
    this.#session.drain()
  }

  endNow(): void {
    this.reply({ code: 421, status: '4.3.2', lines: ['Service shutting down'] })
    this._socket.destroySoon()
  }

  checkDeadline(): void {
    if (!this.#session.working && !this.#receiving && this.#session.silentMs > this._server.rules.idleTimeoutMs) {
      this.#timedOut()
    }
  }

  override close(): void {
    this.#finish()
    super.close()
  }

  override _createParser(): SmtpParser {
    const longest = this._server.handlers.authenticate ? MAX_SASL_LINE : MAX_COMMAND_LINE
    const parser = new SmtpParser(
      {
        line: (line) => this.#turn(() => this.#session.line(line)),
        fault: (fault) => this.#turn(() => this.#session.fault(fault)),
        content: () => this.#session.content(),
        dataEnd: () => this.#session.dataEnd(),
        end: () => void this.#session.end(),
      },
      longest,
    )
    parser.on('error', (err) => {
      this._server.log.error({ err, sessionId: this.id }, 'parser failed')
      this._socket.destroy()
    })
    return parser
  }

  override _armTimeout(socket: Socket = this._socket): void {
    // Nothing can be said to a client that is late with it, and octets one by one do not make it earlier.
    if (this._upgrading) {
      this.#handshake = setTimeout(
        () => socket.destroy(new Error('TLS handshake took too long')),
        this._server.rules.handshakeTimeoutMs,
      )
    }
    socket.setTimeout(this._server.rules.idleTimeoutMs, () => this._onTimeout())
  }

  override _onTimeout(): void {
    if (this._closing) this._socket.destroy()
    // The client waits for us, not we for it.
    else if (this.#session.working) this._armTimeout()
    else this.#timedOut()
  }

  override _onError(error: Error & { code?: string | undefined }): void {
    if (this._upgrading) this._server.metrics.connections.inc({ outcome: 'tls_failed' })
    const facts = { sessionId: this.id, clientAddress: this.remoteAddress, err: error.message }
    // After QUIT many clients just drop the connection.
    if (this.#over) this._server.log.debug(facts, 'connection failed after its end')
    else this._server.log.info(facts, 'connection failed')
    this.close()
  }

  override _onClose(): void {
    clearTimeout(this.#handshake)
    if (!this._closed) {
      this.#finish()
      this._server.forget(this)
      if (this.#counted) {
        this._server.count.leave(this.remoteAddress)
        this._server.metrics.open.dec()
      }
    }
    super._onClose()
  }

  get #receiving(): boolean {
    return this._parser !== false && this._parser.receiving
  }

  #timedOut(): void {
    this.reply({ code: 421, status: '4.4.2', lines: [`${this._server.domain} Timeout, closing connection`] })
  }

  /** Once: the session learns that nothing more will come. */
  #finish(): void {
    if (this.#over) return
    this.#over = true
    this.#session.closed()
  }

  /** A client that never reads its replies is not given more of them. */
  #turn(act: () => Promise<void> | undefined): Promise<void> | undefined {
    const socket = this._socket
    if (!socket.writableNeedDrain || socket.destroyed) return act()
    const { promise, resolve } = Promise.withResolvers<void>()
    socket.once('drain', resolve)
    socket.once('close', resolve)
    return promise.then(act)
  }
}

/** A reply never holds a control character: what a client sent must not become a line of ours. */
function printable(text: string): string {
  return text.replaceAll(/\p{Cc}/gu, ' ').slice(0, MAX_REPLY_TEXT)
}
