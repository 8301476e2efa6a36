/**
 * SMTP sessions over nodemailer's connection. A session that ended its transaction well is kept a while for the next message
 * to the same host.
 *
 * STANDARDS  RFC 5321 §4.5.3.2 (timeouts), RFC 3207, RFC 7435 (opportunistic TLS), RFC 8689 §4.2.1, RFC 4954 (smarthost)
 */
import { connect, isIP, type Socket } from 'node:net'

import type { Host } from '../attempt/destination.ts'
import { type OpenSession, SessionFailed, TlsMissing } from '../attempt/session.ts'
import { RelayConnection } from './relay-connection.ts'
import { failureOf, SmtpSession } from './smtp-session.ts'

export interface SmtpClientOptions {
  /** Our name in EHLO. */
  hostname: string
  /** Credentials of a smarthost. Sent over verified TLS only. */
  auth: { user: string; password: string } | null
  connectTimeoutMs: number
  /** RFC 5321 §4.5.3.2.1–4: at least 5 minutes for the greeting, MAIL and RCPT, 2 for DATA, 3 for a block of data. */
  replyTimeoutMs: number
  /** RFC 5321 §4.5.3.2.6: at least 10 minutes for the answer to the final dot. */
  dotTimeoutMs: number
  /** A session waits so long for the next message. */
  idleMs: number
  /** More messages than this do not go over one session. */
  maxMessages: number
}

type Tls = 'opportunistic' | 'required' | 'none'

export class SmtpClient {
  readonly #options: SmtpClientOptions
  /** Sessions that wait, by host; the last one given back is the first one taken. */
  readonly #waiting = new Map<string, SmtpSession[]>()

  constructor(options: SmtpClientOptions) {
    this.#options = options
  }

  readonly open: OpenSession = async (host, { requireTls, fresh }) => {
    const verified = requireTls || this.#options.auth !== null
    const key = `${host.name} ${host.address} ${host.port} ${verified}`
    const waiting = fresh ? undefined : this.#take(key)
    if (waiting) return waiting
    const session = verified ? await this.#connect(host, 'required') : await this.#connectSomehow(host)
    session.onRelease = () => this.#keep(key, session)
    return session
  }

  close(): void {
    for (const session of [...this.#waiting.values()].flat()) session.close()
    this.#waiting.clear()
  }

  /** Encrypted where the peer can, in the clear where that fails: better than not at all — RFC 7435. */
  async #connectSomehow(host: Host): Promise<SmtpSession> {
    try {
      return await this.#connect(host, 'opportunistic')
    } catch (error) {
      if (error instanceof TlsMissing) return this.#connect(host, 'none')
      throw error
    }
  }

  /** @throws TlsMissing for trouble with TLS only; SessionFailed */
  async #connect(host: Host, tls: Tls): Promise<SmtpSession> {
    const { hostname, auth, connectTimeoutMs, replyTimeoutMs, dotTimeoutMs, maxMessages } = this.#options
    const socket = await dial(host, connectTimeoutMs)
    const connection = new RelayConnection({
      connection: socket,
      host: host.name,
      port: host.port,
      name: hostname,
      requireTLS: tls === 'required',
      ignoreTLS: tls === 'none',
      tls: {
        rejectUnauthorized: tls === 'required',
        ...(isIP(host.name) === 0 && { servername: host.name }),
      },
      greetingTimeout: replyTimeoutMs,
      // Of everything up to the end of STARTTLS; it must not cut the greeting's time short.
      connectionTimeout: 3 * replyTimeoutMs,
      socketTimeout: replyTimeoutMs,
    })
    try {
      await connection.established()
      if (auth) await connection.logIn(auth)
    } catch (cause) {
      connection.close()
      const { code, message, response } = failureOf(cause)
      if (code === 'ETLS' || connection.upgrading) throw new TlsMissing(message, { cause })
      throw new SessionFailed(message, { cause, reply: response })
    }
    return new SmtpSession(connection, { replyTimeoutMs, dotTimeoutMs, maxMessages })
  }

  #take(key: string): SmtpSession | undefined {
    for (;;) {
      const session = this.#waiting.get(key)?.pop()
      if (session === undefined) return undefined
      if (session.wake()) return session
    }
  }

  #keep(key: string, session: SmtpSession): void {
    const list = this.#waiting.get(key) ?? []
    this.#waiting.set(key, list)
    list.push(session)
    session.wait(this.#options.idleMs, () => {
      const rest = (this.#waiting.get(key) ?? []).filter((other) => other !== session)
      if (rest.length > 0) this.#waiting.set(key, rest)
      else this.#waiting.delete(key)
    })
  }
}

/** @throws SessionFailed */
function dial({ name, address, port }: Host, timeoutMs: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: address, port })
    const fail = (why: string, cause?: unknown): void => {
      socket.destroy()
      reject(new SessionFailed(`${name}: ${why}`, { cause }))
    }
    const timer = setTimeout(() => fail('no connection in time'), timeoutMs)
    socket.once('error', (error) => {
      clearTimeout(timer)
      fail('code' in error ? `no connection (${String(error.code)})` : 'no connection', error)
    })
    socket.once('connect', () => {
      clearTimeout(timer)
      socket.removeAllListeners('error')
      // Nobody reads until the session does; an error meanwhile is found out then.
      socket.on('error', () => {})
      resolve(socket)
    })
  })
}
