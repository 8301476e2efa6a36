/**
 * SMTP and LMTP sessions, begun over nodemailer's connection. A session that ended its transaction well is kept a while for the next
 * message that goes the same way to the same host.
 *
 * STANDARDS  RFC 5321 §4.5.3.2 (timeouts), RFC 3207, RFC 7435 (opportunistic TLS), RFC 8314 §3.3 (implicit TLS),
 *            RFC 8689 §4.2.1, RFC 4954 (credentials), RFC 2033 (LMTP)
 */
import { connect, isIP, type Socket } from 'node:net'

import { SpanKind, type Step, traced } from '@postbus/tracing'

import type { Host } from '../attempt/destination.ts'
import { SessionFailed, TlsMissing } from '../attempt/session.ts'
import type { Route } from '../routing/route.ts'
import { Dialogue } from './dialogue.ts'
import { DialogueSteps } from './dialogue-steps.ts'
import { peerOf } from './peer-of.ts'
import { failureOf, MECHANISMS, RelayConnection } from './relay-connection.ts'
import { SmtpSession } from './smtp-session.ts'
import { sourceFor, type SourcePools } from './source-pools.ts'

export interface SmtpClientOptions {
  /** Our name in EHLO, unless the way or the source address has its own. */
  hostname: string
  sources: SourcePools
  /** Certificates (PEM) to trust; absent: the system's. */
  ca?: readonly string[]
  /** To one address. */
  connectTimeoutMs: number
  /** RFC 5321 §4.5.3.2.1: at least 5 minutes. Of the TLS handshake too. */
  greetingTimeoutMs: number
  /** RFC 5321 §4.5.3.2.2–3: at least 5 minutes for MAIL and RCPT. */
  replyTimeoutMs: number
  /** RFC 5321 §4.5.3.2.4: at least 2 minutes for DATA. */
  dataTimeoutMs: number
  /** RFC 5321 §4.5.3.2.5: at least 3 minutes for a block of data. */
  blockTimeoutMs: number
  /** RFC 5321 §4.5.3.2.6: at least 10 minutes for the answer to the final dot. */
  dotTimeoutMs: number
  /** A session waits so long for the next message. */
  idleMs: number
  /** Sessions that wait. */
  maxIdle: number
  /** Messages over one session, unless the way says otherwise. */
  maxMessages: number
  /** A host whose STARTTLS failed is not asked for it again for so long. */
  tlsRetryMs: number
  now(): number
  /** @param tls the version, or none; policy: what was asked for */
  opened?(tls: string, policy: SessionWay['tls']): void
  failed?(reason: 'connection' | 'tls' | 'refused'): void
}

/** How a route wants to be spoken to. */
export interface SessionWay extends Pick<Route, 'tls' | 'auth'> {
  protocol: 'smtp' | 'lmtp'
  source?: string | undefined
  helo?: string | undefined
  maxMessages?: number | undefined
}

interface Connecting extends SessionWay {
  host: Host
  /** Null: whatever the system chooses. */
  localAddress: string | null
  name: string
}

/** Hosts with broken STARTTLS that are remembered. */
const MAX_BROKEN = 10_000

export class SmtpClient {
  readonly #options: SmtpClientOptions
  /** Sessions that wait, by everything that made them; the last one given back is the first one taken. */
  readonly #waiting = new Map<string, SmtpSession[]>()
  /** All of them, the oldest first. */
  readonly #idle = new Set<SmtpSession>()
  /** Until when a host is not asked for STARTTLS, by address and port. */
  readonly #broken = new Map<string, number>()

  constructor(options: SmtpClientOptions) {
    this.#options = options
  }

  /** @throws SessionFailed, TlsMissing */
  open(host: Host, options: { requireTls: boolean; fresh: boolean }, way: SessionWay): Promise<SmtpSession> {
    const attributes = {
      'network.protocol.name': way.protocol,
      'server.address': host.name,
      'server.port': host.port,
      'network.peer.address': host.address,
    }
    return traced(`${way.protocol.toUpperCase()} connect`, { kind: SpanKind.CLIENT, attributes }, (step) =>
      this.#open(host, options, way, step),
    )
  }

  async #open(
    host: Host,
    { requireTls, fresh }: { requireTls: boolean; fresh: boolean },
    way: SessionWay,
    step: Step,
  ): Promise<SmtpSession> {
    const tls = requireTls && way.tls !== 'implicit' ? 'required' : way.tls
    const source = sourceFor(this.#options.sources, way.source, host)
    if (source.kind === 'none') throw new SessionFailed(`${host.name}: ${source.why}`, {})
    const localAddress = source.kind === 'from' ? source.address : null
    const name = way.helo ?? (source.kind === 'from' ? source.helo : null) ?? this.#options.hostname
    const connecting = { ...way, host, tls, localAddress, name }
    const key = keyOf(connecting)
    const waiting = fresh ? undefined : this.#take(key)
    step.set({ 'postbus.session.reused': waiting !== undefined })
    if (waiting) return waiting
    const session = tls === 'opportunistic' ? await this.#connectSomehow(connecting) : await this.#connect(connecting)
    session.onRelease = () => this.#keep(key, session)
    step.set({ 'postbus.tls': session.peer.secure })
    return session
  }

  close(): void {
    for (const session of this.#idle) session.close()
  }

  /** Encrypted where the peer can, in the clear where that fails: better than not at all — RFC 7435. */
  async #connectSomehow(connecting: Connecting): Promise<SmtpSession> {
    const { host, auth } = connecting
    const place = `${host.address} ${host.port}`
    // A password in the clear is not better than not at all.
    if (auth !== null) return this.#connect(connecting)
    if ((this.#broken.get(place) ?? 0) <= this.#options.now()) {
      try {
        return await this.#connect(connecting)
      } catch (error) {
        if (!(error instanceof TlsMissing)) throw error
      }
    }
    const session = await this.#connect({ ...connecting, tls: 'none' })
    this.#remember(place)
    return session
  }

  #remember(place: string): void {
    const until = this.#broken.get(place) ?? 0
    if (until > this.#options.now()) return
    this.#broken.delete(place)
    this.#broken.set(place, this.#options.now() + this.#options.tlsRetryMs)
    const [oldest] = this.#broken.keys()
    if (this.#broken.size > MAX_BROKEN && oldest !== undefined) this.#broken.delete(oldest)
  }

  /** @throws TlsMissing for trouble with TLS only; SessionFailed */
  async #connect(connecting: Connecting): Promise<SmtpSession> {
    try {
      return await this.#begin(connecting)
    } catch (error) {
      this.#options.failed?.(reasonOf(error))
      throw error
    }
  }

  async #begin({ host, tls, auth, localAddress, name, protocol, maxMessages }: Connecting): Promise<SmtpSession> {
    const { connectTimeoutMs, greetingTimeoutMs, replyTimeoutMs, ca } = this.#options
    const socket = await traced('TCP connect', { kind: SpanKind.CLIENT }, () =>
      dial(host, localAddress, connectTimeoutMs),
    )
    const connection = new RelayConnection({
      connection: socket,
      host: host.name,
      port: host.port,
      name,
      lmtp: protocol === 'lmtp',
      secure: tls === 'implicit',
      requireTLS: tls === 'required',
      ignoreTLS: tls === 'none',
      tls: {
        rejectUnauthorized: tls === 'required' || tls === 'implicit',
        ...(ca !== undefined && { ca: [...ca] }),
        ...(isIP(host.name) === 0 && { servername: host.name }),
      },
      greetingTimeout: greetingTimeoutMs,
      // Of everything up to the end of STARTTLS; it must not cut the greeting's time short.
      connectionTimeout: 2 * greetingTimeoutMs + replyTimeoutMs,
      socketTimeout: Math.max(greetingTimeoutMs, replyTimeoutMs),
    })
    const steps = new DialogueSteps()
    connection.sent = (verb) => steps.begin(verb)
    steps.begin(tls === 'implicit' ? 'TLS' : 'greeting')
    try {
      await connection.established()
      // What it offers stands in the reply to EHLO, and the one to AUTH comes after it.
      const peer = peerOf(connection.lastServerResponse || '', connection.secure)
      if (auth !== null) {
        if (!connection.secure) throw new TlsMissing(`${host.name} has no TLS: credentials are not sent in the clear`)
        if (!MECHANISMS.some((mechanism) => peer.mechanisms.has(mechanism)))
          throw new SessionFailed(`${host.name} takes no credentials of ours`, {})
        await connection.logIn(auth)
      }
      steps.end()
      this.#options.opened?.(connection.tlsVersion, tls)
      return new SmtpSession(new Dialogue(connection.handOver()), peer, {
        ...this.#options,
        protocol,
        maxMessages: maxMessages ?? this.#options.maxMessages,
      })
    } catch (cause) {
      steps.end(cause instanceof Error ? cause.name : 'unknown')
      connection.close()
      if (cause instanceof TlsMissing || cause instanceof SessionFailed) throw cause
      const { code, message, response } = failureOf(cause)
      // With TLS 1.3 a peer may break a handshake off that is over for us.
      const broken = tls === 'opportunistic' && connection.secure && response === undefined
      if (code === 'ETLS' || connection.upgrading || broken) throw new TlsMissing(message, { cause })
      throw new SessionFailed(message, { cause, reply: response })
    }
  }

  #take(key: string): SmtpSession | undefined {
    for (;;) {
      const session = this.#waiting.get(key)?.at(-1)
      if (session === undefined) return undefined
      this.#forget(key, session)
      if (session.wake()) return session
    }
  }

  #keep(key: string, session: SmtpSession): void {
    const list = this.#waiting.get(key) ?? []
    this.#waiting.set(key, list)
    list.push(session)
    this.#idle.add(session)
    session.wait(this.#options.idleMs, () => this.#forget(key, session))
    const [oldest] = this.#idle
    if (this.#idle.size > this.#options.maxIdle) oldest?.close()
  }

  #forget(key: string, session: SmtpSession): void {
    this.#idle.delete(session)
    const rest = (this.#waiting.get(key) ?? []).filter((other) => other !== session)
    if (rest.length > 0) this.#waiting.set(key, rest)
    else this.#waiting.delete(key)
  }
}

function reasonOf(error: unknown): 'connection' | 'tls' | 'refused' {
  if (error instanceof TlsMissing) return 'tls'
  return error instanceof SessionFailed && error.reply !== undefined ? 'refused' : 'connection'
}

/** Sessions with the same key are alike for whoever sends over them. */
const keyOf = ({ host, protocol, tls, auth, localAddress, name }: Connecting): string =>
  JSON.stringify([host.name, host.address, host.port, protocol, tls, auth, localAddress, name])

/** @throws SessionFailed */
function dial({ name, address, port }: Host, localAddress: string | null, timeoutMs: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: address, port, ...(localAddress !== null && { localAddress }) })
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
