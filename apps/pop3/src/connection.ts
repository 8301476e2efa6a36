/**
 * One client's connection: a line in, a reply out, in order; what a reply streams goes at the client's pace.
 *
 * STANDARDS  RFC 1939 §3, RFC 2449 §4 (lengths), RFC 2595 §4 (STLS)
 */
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'

import type { TcpConnection } from '@postbus/listener'
import type { Logger } from 'pino'

import { LineReader, LineTooLong } from './line-reader.ts'
import type { Pop3Metrics } from './metrics.ts'
import { Pop3Error, refusal, statusLine, type Reply } from './reply.ts'
import type { Command, Login, Session } from './session.ts'
import { authorization } from './states/authorization.ts'
import { transaction } from './states/transaction.ts'

export interface ConnectionOptions {
  plaintextLogin: boolean
  idleTimeoutMs: number
  loginTimeoutMs: number
  maxBadCommands: number
  login(username: string, password: string, clientAddress: string): Promise<Login>
  metrics: Pop3Metrics
  log: Logger
}

/** A command with its arguments has at most 255 octets (RFC 2449 §4); a SASL response is longer. */
const MAX_LINE_LENGTH = 4096

export async function serve(connection: TcpConnection, options: ConnectionOptions): Promise<void> {
  await new Pop3Connection(connection, options).run()
}

class Pop3Connection {
  readonly #connection: TcpConnection
  readonly #options: ConnectionOptions
  readonly #session: Session
  readonly #log: Logger
  #reader: LineReader
  #badCommands = 0
  #sentBytes = 0

  constructor(connection: TcpConnection, options: ConnectionOptions) {
    this.#connection = connection
    this.#options = options
    this.#log = options.log.child({ sessionId: connection.sessionId, clientAddress: connection.address })
    this.#reader = this.#newReader()
    this.#session = {
      ports: {
        login: (username, password) => this.#login(username, password),
        readLine: () => this.#readLine(),
        write: (line) => void this.#connection.socket.write(line),
        pause: (ms) => sleep(ms, undefined, { signal: connection.signal }),
      },
      canStartTls: connection.canStartTls,
      mayLogin: connection.tls !== null || options.plaintextLogin,
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
      await this.#session.open?.release()
      this.#log.info({ elapsedMs: Date.now() - startedAt, sentBytes: this.#sentBytes }, 'session ended')
    }
  }

  async #answer(line: string): Promise<void> {
    const [, verb = '', argument = ''] = /^(\S*) ?(.*?)$/s.exec(line) ?? []
    const name = verb.toUpperCase()
    const state = this.#session.open === null ? authorization : transaction
    const known = Object.hasOwn(state, name) ? state[name] : undefined
    try {
      const reply = await this.#run(known, argument)
      this.#options.metrics.command(known ? name : 'unknown', 'ok')
      await this.#send(reply)
    } catch (error) {
      if (!(error instanceof Pop3Error)) throw error
      this.#options.metrics.command(known ? name : 'unknown', 'err')
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
      await this.#connection.startTls(statusLine(reply))
      // What the client sent in the clear behind STLS is forgotten with the old reader.
      this.#reader = this.#newReader()
      this.#session.canStartTls = false
      this.#session.mayLogin = true
      return
    }
    await this.#write(statusLine(reply))
    for await (const chunk of reply.body ?? []) await this.#write(chunk)
  }

  async #login(username: string, password: string): Promise<Login> {
    try {
      const login = await this.#options.login(username, password, this.#connection.address)
      this.#options.metrics.login(login.kind)
      this.#log.info({ username, result: login.kind }, 'login')
      return login
    } catch (cause) {
      throw new Pop3Error('Try again later', 'SYS/TEMP', { cause })
    }
  }

  async #readLine(): Promise<string | null> {
    const { idleTimeoutMs, loginTimeoutMs } = this.#options
    const timeout = AbortSignal.timeout(this.#session.open === null ? loginTimeoutMs : idleTimeoutMs)
    return this.#reader.next(AbortSignal.any([timeout, this.#connection.draining]))
  }

  async #write(bytes: string | Uint8Array): Promise<void> {
    const { socket, signal } = this.#connection
    this.#sentBytes += bytes.length
    this.#options.metrics.sent(bytes.length)
    // A client that is gone is noticed when the next line is read.
    if (!socket.write(bytes) && !socket.destroyed) await once(socket, 'drain', { signal }).catch(() => {})
  }

  /** Nothing is removed: only QUIT does that — RFC 1939 §3. */
  async #giveUp(error: unknown): Promise<void> {
    const text =
      error instanceof LineTooLong
        ? '-ERR Line too long\r\n'
        : this.#connection.draining.aborted
          ? '-ERR [SYS/TEMP] Service is stopping, try again later\r\n'
          : error instanceof Error && error.name === 'TimeoutError'
            ? '-ERR Autologout\r\n'
            : null
    if (text !== null) return this.#write(text)
    // In the middle of a message there is no way to say so but to end the connection.
    this.#log.warn({ err: error }, 'session failed')
    this.#connection.socket.destroy()
  }

  #newReader(): LineReader {
    return new LineReader(this.#connection.socket, MAX_LINE_LENGTH)
  }
}
