/**
 * SMTP transactions over nodemailer's connection, one host at a time; a connection that ended a transaction well is kept a
 * while for the next to the same host.
 *
 * STANDARDS  RFC 5321 §4.5.3.2 (timeouts), RFC 3207 (opportunistic), RFC 6152 §3, RFC 6531 §3.2
 */
import { once } from 'node:events'
import type { Readable } from 'node:stream'

import SMTPConnection from 'nodemailer/lib/smtp-connection'

import type { HostAnswer, Transaction } from '../attempt/deliver.ts'
import type { Host } from '../attempt/destination.ts'
import type { PeerReply } from '../attempt/reply.ts'

export interface SmtpClientOptions {
  /** Our name in EHLO. */
  hostname: string
  /** Credentials of a smarthost. */
  auth: { user: string; password: string } | null
  connectTimeoutMs: number
  /** RFC 5321 §4.5.3.2: five minutes for the greeting, MAIL and RCPT. */
  commandTimeoutMs: number
  /** RFC 5321 §4.5.3.2.6: ten minutes for the answer to the data; the library has one time for all silence. */
  dataTimeoutMs: number
  idleMs: number
}

/** The message cannot be read: our trouble, not the peer's. */
export class MessageUnreadable extends Error {
  override readonly name = 'MessageUnreadable'
}

interface Session {
  connection: SMTPConnection
  /** Keywords of the peer's EHLO reply, upper case. */
  offers: ReadonlySet<string>
}

interface Kept {
  session: Session
  timer: NodeJS.Timeout
}

export class SmtpClient {
  readonly #options: SmtpClientOptions
  readonly #kept = new Map<string, Kept[]>()

  constructor(options: SmtpClientOptions) {
    this.#options = options
  }

  /** @throws MessageUnreadable */
  async transact(host: Host, transaction: Transaction, openMessage: () => Readable): Promise<HostAnswer> {
    const kept = this.#take(host)
    if (kept !== undefined) {
      const answer = await this.#send(kept, host, transaction, openMessage)
      // A peer may close a waiting connection at any time; that says nothing about the message.
      if (answer.kind !== 'unusable') return answer
    }
    let session: Session
    try {
      session = await this.#connect(host)
    } catch (error) {
      return { kind: 'unusable', reply: replyOf(error) }
    }
    return this.#send(session, host, transaction, openMessage)
  }

  close(): void {
    for (const { session, timer } of [...this.#kept.values()].flat()) {
      clearTimeout(timer)
      session.connection.quit()
    }
    this.#kept.clear()
  }

  async #connect({ name, address, port }: Host): Promise<Session> {
    const { hostname, auth, connectTimeoutMs, commandTimeoutMs, dataTimeoutMs } = this.#options
    const connection = new SMTPConnection({
      host: address,
      port,
      name: hostname,
      servername: name,
      secure: false,
      // Encrypted where the peer can, in the clear where it cannot: better than not at all (RFC 7435).
      opportunisticTLS: true,
      tls: { rejectUnauthorized: false, minVersion: 'TLSv1.2' },
      connectionTimeout: connectTimeoutMs,
      greetingTimeout: commandTimeoutMs,
      socketTimeout: dataTimeoutMs,
      allowInternalNetworkInterfaces: true,
    })
    const failed = once(connection, 'error').then(([error]) => {
      throw error
    })
    await Promise.race([new Promise<void>((resolve) => connection.connect(() => resolve())), failed])
    failed.catch(() => {}) // Later errors are told to whoever is sending.
    const offers = offersIn(connection.lastServerResponse)
    if (auth !== null) {
      await new Promise<void>((resolve, reject) =>
        connection.login(
          { user: auth.user, pass: auth.password, credentials: { user: auth.user, pass: auth.password } },
          (error) => (error ? reject(error) : resolve()),
        ),
      )
    }
    return { connection, offers }
  }

  async #send(
    session: Session,
    host: Host,
    transaction: Transaction,
    openMessage: () => Readable,
  ): Promise<HostAnswer> {
    const { reversePath, forwardPaths, size, eightBit, smtputf8, dsn } = transaction
    const { connection, offers } = session
    if (smtputf8 && !offers.has('SMTPUTF8')) {
      this.#keep(host, session)
      return { kind: 'unable', status: '5.6.7', reason: 'The next hop does not take internationalized messages' }
    }
    if (eightBit && !offers.has('8BITMIME')) {
      this.#keep(host, session)
      return { kind: 'unable', status: '5.6.3', reason: 'The next hop does not take 8-bit messages' }
    }
    const message = openMessage()
    let unreadable: unknown
    message.once('error', (error) => (unreadable = error))
    try {
      const info = await new Promise<SMTPConnection.SentMessageInfo>((resolve, reject) => {
        connection.once('error', reject)
        const envelope = {
          from: reversePath,
          to: [...forwardPaths],
          size,
          use8BitMime: eightBit,
          dsn: {
            id: dsn.envid,
            return: dsn.ret,
            notify: dsn.notify ? [...dsn.notify] : undefined,
            recipient: dsn.orcpt,
          },
        }
        connection.send(envelope as SMTPConnection.Envelope, message, (error, result) =>
          error ? reject(error) : resolve(result),
        )
      })
      const refused = new Map((info.rejectedErrors ?? []).map((error) => [recipientOf(error), replyOf(error)]))
      this.#keep(host, session)
      return { kind: 'taken', reply: info.response, dsn: offers.has('DSN'), refused }
    } catch (error) {
      connection.close()
      if (unreadable !== undefined)
        throw new MessageUnreadable('the message cannot be read from the spool', { cause: unreadable })
      return answerOf(error, forwardPaths)
    } finally {
      message.destroy()
    }
  }

  #keep(host: Host, session: Session): void {
    const { connection } = session
    const key = keyOf(host)
    const timer = setTimeout(() => {
      this.#forget(key, session)
      connection.quit()
    }, this.#options.idleMs)
    const gone = (): void => {
      clearTimeout(timer)
      this.#forget(key, session)
    }
    connection.removeAllListeners('error').once('error', gone).once('end', gone)
    this.#kept.set(key, [...(this.#kept.get(key) ?? []), { session, timer }])
  }

  #take(host: Host): Session | undefined {
    const kept = this.#kept.get(keyOf(host))?.pop()
    if (kept === undefined) return undefined
    clearTimeout(kept.timer)
    kept.session.connection.removeAllListeners('error').removeAllListeners('end')
    return kept.session
  }

  #forget(key: string, session: Session): void {
    const rest = (this.#kept.get(key) ?? []).filter((kept) => kept.session !== session)
    if (rest.length > 0) this.#kept.set(key, rest)
    else this.#kept.delete(key)
  }
}

/** The first word of each line after the greeting — RFC 5321 §4.1.1.1. */
function offersIn(reply: string | false): Set<string> {
  const lines = reply === false ? [] : reply.split(/\r?\n/).slice(1)
  return new Set(lines.map((line) => line.slice(4).split(' ')[0]?.toUpperCase() ?? ''))
}

const keyOf = ({ address, port }: Host): string => `${address} ${port}`

interface SmtpFailure extends Error {
  responseCode?: number
  response?: string
  recipient?: string
  command?: string
  rejectedErrors?: SmtpFailure[]
}

const failureOf = (error: unknown): SmtpFailure => (error instanceof Error ? error : new Error(String(error)))

const recipientOf = (error: unknown): string => failureOf(error).recipient ?? ''

function replyOf(error: unknown): PeerReply {
  const { responseCode = 0, response, message } = failureOf(error)
  return { code: responseCode, text: response ?? message }
}

function answerOf(error: unknown, forwardPaths: readonly string[]): HostAnswer {
  const { rejectedErrors, responseCode, command } = failureOf(error)
  if (rejectedErrors !== undefined && rejectedErrors.length > 0) {
    return { kind: 'refused', replies: new Map(rejectedErrors.map((each) => [recipientOf(each), replyOf(each)])) }
  }
  const reply = replyOf(error)
  // The peer's SIZE is smaller than the message: said by us on its behalf — RFC 1870 §6.1.
  if (responseCode === undefined && command === 'MAIL FROM') reply.code = 552
  if (reply.code === 0) return { kind: 'unusable', reply }
  return { kind: 'refused', replies: new Map(forwardPaths.map((forwardPath) => [forwardPath, reply])) }
}
