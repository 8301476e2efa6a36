/**
 * One client's connection: a line in, a reply out, in order; what a reply streams goes at the client's pace.
 *
 * Bounds: a line, the time to log in, the time to say or take something, refused commands one after the other.
 *
 * STANDARDS  RFC 1939 §3, RFC 2449 §4 (lengths), §6.6 (PIPELINING), RFC 2595 §4 (STLS)
 */
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'

import type { Granted } from '@postbus/directory-client'
import type { TcpConnection } from '@postbus/listener'
import { naming, type Verifier } from '@postbus/sasl'
import type { Logger } from 'pino'

import { LineReader, LineTooLong } from './line-reader.ts'
import { MessageGone } from './maildrop.ts'
import type { Pop3Metrics } from './metrics.ts'
import { Pop3Error, refusal, statusLine, type Reply } from './reply.ts'
import { EndOfSession, type Command, type Session, type SessionPorts } from './session.ts'
import { within, TimeLimit } from './time-limit.ts'
import { authorization } from './states/authorization.ts'
import { transaction } from './states/transaction.ts'

export interface ConnectionOptions {
  plaintextLogin: boolean
  /** Tokens of an issuer are taken. */
  bearerLogin: boolean
  idleTimeoutMs: number
  loginTimeoutMs: number
  maxBadCommands: number
  /** For a client at this address. */
  verifier(clientAddress: string): Verifier<Granted>
  openMaildrop: SessionPorts['openMaildrop']
  metrics: Pop3Metrics
  log: Logger
}

/** A command with its arguments has at most 255 octets (RFC 2449 §4); a line of SASL 12,288, as RFC 4954 §4 has it. */
const MAX_LINE_LENGTH = 12_288

export async function serve(connection: TcpConnection, options: ConnectionOptions): Promise<void> {
  await new Pop3Connection(connection, options).run()
}

function gone(cause: unknown): never {
  throw new EndOfSession('the client is gone', { cause })
}

function refuseUnread(cause: unknown): never {
  if (cause instanceof MessageGone) throw new Pop3Error('The message is gone: another session removed it')
  throw new Pop3Error('The message cannot be read now', 'SYS/TEMP', { cause })
}

class Pop3Connection {
  readonly #connection: TcpConnection
  readonly #options: ConnectionOptions
  readonly #session: Session
  readonly #log: Logger
  /** By the monotonic clock. */
  readonly #mustLogInBy: number
  #reader: LineReader
  #badCommands = 0
  #claimed: string | null = null
  #sentBytes = 0

  constructor(connection: TcpConnection, options: ConnectionOptions) {
    this.#connection = connection
    this.#options = options
    this.#log = options.log.child({ sessionId: connection.sessionId, clientAddress: connection.address })
    // From the beginning: a client that keeps saying something without logging in is no better than a silent one.
    this.#mustLogInBy = performance.now() + options.loginTimeoutMs
    this.#reader = this.#newReader()
    this.#session = {
      ports: {
        verifier: naming(options.verifier(connection.address), (username) => (this.#claimed = username)),
        openMaildrop: options.openMaildrop,
        loggedIn: (result) => {
          options.metrics.login(result)
          this.#log.info({ username: this.#claimed, result }, 'login')
        },
        readLine: () => this.#readLine(),
        write: (line) => this.#write(line),
        pause: (ms) => sleep(ms, undefined, { signal: connection.signal }).catch(gone),
      },
      offer: { channel: connection, bearer: options.bearerLogin },
      canStartTls: connection.canStartTls,
      mayLogin: connection.tls !== null || options.plaintextLogin,
      utf8: false,
      username: null,
      open: null,
      ended: false,
    }
  }

  async run(): Promise<void> {
    const startedAt = Date.now()
    try {
      await this.#write('+OK Postbus POP3 ready\r\n')
      while (!this.#session.ended) {
        const line = await this.#readLine()
        if (line === null) break
        await this.#answer(line)
      }
    } catch (error) {
      await this.#giveUp(error)
    } finally {
      this.#release()
      await this.#session.open?.release()
      this.#log.info({ elapsedMs: Date.now() - startedAt, sentBytes: this.#sentBytes }, 'session ended')
    }
  }

  async #answer(line: string): Promise<void> {
    const [, verb = '', argument = ''] = /^(\S*) ?(.*?)$/s.exec(line) ?? []
    const name = verb.toUpperCase()
    const state = this.#session.open === null ? authorization : transaction
    const known = Object.hasOwn(state, name) ? state[name] : undefined
    const begun = performance.now()
    const counted = (result: 'ok' | 'err'): void =>
      this.#options.metrics.command(known ? name : 'unknown', result, (performance.now() - begun) / 1000)
    try {
      const reply = await this.#run(known, argument)
      this.#badCommands = 0
      await this.#send(reply)
      counted('ok')
    } catch (error) {
      if (!(error instanceof Pop3Error)) throw error
      counted('err')
      if (error.cause !== undefined) this.#log.warn({ err: error.cause }, error.message)
      await this.#write(refusal(error))
      if (++this.#badCommands >= this.#options.maxBadCommands) this.#session.ended = true
    }
  }

  async #run(command: Command | undefined, argument: string): Promise<Reply> {
    if (command === undefined) throw new Pop3Error('Unknown command in this state')
    // PASS is the one command whose argument may end in spaces — RFC 1939 §7.
    return command(this.#session, argument)
  }

  async #send(reply: Reply): Promise<void> {
    if (reply.startTls) {
      this.#release()
      await this.#connection.startTls(statusLine(reply))
      // What the client sent in the clear behind STLS is forgotten with the old reader.
      this.#reader = this.#newReader()
      this.#session.canStartTls = false
      this.#session.mayLogin = true
      return
    }
    const { body } = reply
    if (body === undefined) return this.#write(statusLine(reply))
    const chunks = body[Symbol.asyncIterator]()
    // What cannot be read is refused: after the status line there is no way to.
    let next = await chunks.next().catch(refuseUnread)
    try {
      for (await this.#write(statusLine(reply)); !next.done; next = await chunks.next()) await this.#write(next.value)
    } finally {
      await chunks.return?.()
    }
  }

  /** @throws EndOfSession */
  async #readLine(): Promise<string | null> {
    const { draining } = this.#connection
    const here = draining.aborted ? null : this.#reader.take()
    if (here !== null) return here
    // Answers to commands that came together go together; before waiting for more, all are on their way.
    this.#release()
    const left = this.#session.open === null ? this.#mustLogInBy - performance.now() : this.#options.idleTimeoutMs
    try {
      return await within(Math.max(left, 0), [draining], (signal) => this.#reader.next(signal))
    } catch (cause) {
      throw new EndOfSession('no further command', { cause })
    }
  }

  /** @throws EndOfSession the client is gone, or takes nothing */
  async #write(bytes: string | Uint8Array): Promise<void> {
    const { socket } = this.#connection
    if (socket.destroyed) throw new EndOfSession('the client is gone')
    if (socket.writableCorked === 0) socket.cork()
    this.#sentBytes += bytes.length
    this.#options.metrics.sent(bytes.length)
    if (!socket.write(bytes)) await this.#drained()
  }

  async #drained(): Promise<void> {
    const { socket, signal } = this.#connection
    this.#release()
    if (!socket.writableNeedDrain) return
    try {
      await within(this.#options.idleTimeoutMs, [signal], (limit) => once(socket, 'drain', { signal: limit }))
    } catch (cause) {
      // There is no telling a client that does not listen.
      socket.destroy()
      throw new EndOfSession('the client takes nothing', { cause })
    }
  }

  /** Sends what waits to be sent together. */
  #release(): void {
    const { socket } = this.#connection
    while (socket.writableCorked > 0) socket.uncork()
  }

  /** Nothing is removed: only QUIT does that — RFC 1939 §3. */
  async #giveUp(error: unknown): Promise<void> {
    const { socket, draining } = this.#connection
    const cause = error instanceof EndOfSession ? error.cause : undefined
    const text =
      cause instanceof LineTooLong
        ? '-ERR Line too long\r\n'
        : cause !== undefined && draining.aborted
          ? '-ERR [SYS/TEMP] Service is stopping, try again later\r\n'
          : cause instanceof TimeLimit
            ? '-ERR Autologout\r\n'
            : null
    this.#release()
    if (text !== null && !socket.destroyed) return void socket.write(text)
    // In the middle of a message there is no way to say so but to end the connection.
    if (!(error instanceof EndOfSession)) this.#log.warn({ err: error }, 'session failed')
    socket.destroy()
  }

  #newReader(): LineReader {
    return new LineReader(this.#connection.socket, MAX_LINE_LENGTH)
  }
}
