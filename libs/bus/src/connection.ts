/**
 * One connection to the bus: dials until it succeeds, reconnects for ever, and asks questions over one inbox of its own.
 *
 * Questions do not go through the client's own `request`: it makes two Error objects for every call, answered or not, which
 * took 9 % of a publishing process. What was sent while the connection broke is told to its asker at once instead of after
 * its whole timeout.
 */
import { readFileSync } from 'node:fs'

import { inboxPrefix, type Identity } from '@postbus/contracts'
import { connect, nkeyAuthenticator, type Msg, type MsgHdrs, type NatsConnection } from '@nats-io/transport-node'
import type { Logger } from 'pino'

import { BusUnavailable, type Stoppable } from './bus.ts'
import { pause } from './pause.ts'

export interface ConnectionOptions {
  /** One or several, also in one string with commas; `nats://host:port` or `tls://host:port`. */
  servers: string | readonly string[]
  party: Identity
  /** The secret nkey itself, or the file it is in; read again at each login, so that it can be exchanged. */
  nkeySeed?: string | undefined
  nkeyFile?: string | undefined
  /** Files in PEM. */
  tls?: { caFile?: string | undefined; certFile?: string | undefined; keyFile?: string | undefined } | undefined
  log: Logger
  /** Gives up dialling; for a stop signal during the start. */
  signal?: AbortSignal | undefined
}

/** What came of one question. `lost`: the connection broke meanwhile; whether it arrived is not known. */
export type Outcome =
  { kind: 'answer'; message: Msg } | { kind: 'nobody' } | { kind: 'timeout' } | { kind: 'lost' } | { kind: 'denied' }

const DIAL_TIMEOUT_MS = 5_000
const RECONNECT_MIN_MS = 100
const RECONNECT_MAX_MS = 1_000
/** A server that hangs is left for another after two of these without an answer: before publications give up. */
const PING_INTERVAL_MS = 5_000
const MAX_PINGS_OUT = 2

interface Waiting {
  subject: string
  settle(outcome: Outcome): void
}

export class Connection {
  readonly nats: NatsConnection
  readonly party: Identity
  readonly #log: Logger
  readonly #inbox: string
  readonly #waiting = new Map<string, Waiting>()
  readonly #hearing = new Map<string, (message: Msg) => void>()
  readonly #onReconnect = new Set<() => void>()
  readonly #onConnected = new Set<() => void>()
  readonly #onClose = new Set<() => void>()
  #counter = 0
  #connected = true

  private constructor(nats: NatsConnection, party: Identity, log: Logger) {
    this.nats = nats
    this.party = party
    this.#log = log
    this.#inbox = this.newInbox()
    nats.subscribe(`${this.#inbox}.*`, {
      callback: (error, message) => void (error ? this.#failed(error) : this.#answered(message)),
    })
    void this.#watch()
  }

  static async open(options: ConnectionOptions): Promise<Connection> {
    const { servers, party, log, signal, tls } = options
    const seed = (): Uint8Array =>
      new TextEncoder().encode(
        (options.nkeyFile ? readFileSync(options.nkeyFile, 'utf8') : (options.nkeySeed ?? '')).trim(),
      )
    for (let attempt = 0; ; attempt++) {
      signal?.throwIfAborted()
      try {
        const nats = await connect({
          servers: [servers].flat().flatMap((list) => list.split(',').map((server) => server.trim())),
          name: party,
          inboxPrefix: inboxPrefix(party),
          ...((options.nkeyFile ?? options.nkeySeed) && { authenticator: nkeyAuthenticator(() => seed()) }),
          ...(tls && { tls: Object.fromEntries(Object.entries(tls).filter(([, file]) => file !== undefined)) }),
          timeout: DIAL_TIMEOUT_MS,
          maxReconnectAttempts: -1,
          // A key that is refused now may be listed after the server's next reload.
          ignoreAuthErrorAbort: true,
          reconnectDelayHandler: () => RECONNECT_MIN_MS + Math.random() * (RECONNECT_MAX_MS - RECONNECT_MIN_MS),
          pingInterval: PING_INTERVAL_MS,
          maxPingOut: MAX_PINGS_OUT,
          noAsyncTraces: true,
        })
        return new Connection(nats, party, log)
      } catch (err) {
        log[attempt % 20 === 0 ? 'warn' : 'debug']({ err, servers }, 'cannot connect to the bus, trying on')
        await pause(attempt, { minMs: RECONNECT_MIN_MS, maxMs: RECONNECT_MAX_MS, signal })
      }
    }
  }

  get connected(): boolean {
    return this.#connected
  }

  get maxPayload(): number {
    return this.nats.info?.max_payload ?? 1024 * 1024
  }

  newInbox(): string {
    return `${inboxPrefix(this.party)}.${crypto.randomUUID().replaceAll('-', '')}`
  }

  onReconnect(callback: () => void): Stoppable {
    this.#onReconnect.add(callback)
    return { stop: async () => void this.#onReconnect.delete(callback) }
  }

  onClose(callback: () => void): Stoppable {
    this.#onClose.add(callback)
    return { stop: async () => void this.#onClose.delete(callback) }
  }

  /** For good: nothing will be sent or heard any more. */
  get closed(): boolean {
    return this.nats.isClosed()
  }

  /** Resolves to whether there is a connection; false when there was none for so long, or there will never be one again. */
  async whenConnected(withinMs: number, signal?: AbortSignal): Promise<boolean> {
    if (this.closed) return false
    if (this.#connected) return true
    const { promise, resolve } = Promise.withResolvers<boolean>()
    const connected = (): void => resolve(true)
    const gaveUp = (): void => resolve(false)
    this.#onClose.add(gaveUp)
    const timer = setTimeout(gaveUp, withinMs)
    signal?.addEventListener('abort', gaveUp)
    this.#onConnected.add(connected)
    try {
      return await promise
    } finally {
      clearTimeout(timer)
      signal?.removeEventListener('abort', gaveUp)
      this.#onConnected.delete(connected)
      this.#onClose.delete(gaveUp)
    }
  }

  /** A subject on which any number of answers is heard. Nothing is subscribed to: all askers of a connection share one inbox. */
  hear(callback: (message: Msg) => void): { inbox: string; end(): void } {
    const token = (++this.#counter).toString(36)
    this.#hearing.set(token, callback)
    return { inbox: `${this.#inbox}.${token}`, end: () => void this.#hearing.delete(token) }
  }

  /** Sends, and waits for one answer. Never throws for what the bus does. */
  ask(
    subject: string,
    payload: Uint8Array | string,
    options: { headers?: MsgHdrs; timeoutMs: number },
  ): Promise<Outcome> {
    const token = (++this.#counter).toString(36)
    const { promise, resolve } = Promise.withResolvers<Outcome>()
    const timer = setTimeout(() => settle({ kind: 'timeout' }), options.timeoutMs)
    const settle = (outcome: Outcome): void => {
      clearTimeout(timer)
      this.#waiting.delete(token)
      resolve(outcome)
    }
    this.#waiting.set(token, { subject, settle })
    try {
      this.nats.publish(subject, payload, {
        reply: `${this.#inbox}.${token}`,
        ...(options.headers && { headers: options.headers }),
      })
    } catch (error) {
      this.#waiting.delete(token)
      clearTimeout(timer)
      // The client throws for a payload the server would not take, and for a connection that was closed.
      return this.closed ? Promise.resolve({ kind: 'lost' }) : Promise.reject(error)
    }
    return promise
  }

  /** Everything sent so far has reached the server. */
  async flush(): Promise<void> {
    try {
      await this.nats.flush()
    } catch (cause) {
      throw new BusUnavailable('the connection to the bus broke', { cause })
    }
  }

  async close(): Promise<void> {
    await this.nats.close()
    for (const { settle } of [...this.#waiting.values()]) settle({ kind: 'lost' })
    for (const callback of [...this.#onClose]) callback()
  }

  #answered(message: Msg): void {
    const token = message.subject.slice(message.subject.lastIndexOf('.') + 1)
    const hearing = this.#hearing.get(token)
    if (hearing) return hearing(message)
    const waiting = this.#waiting.get(token)
    if (!waiting) return // Answered after its time.
    waiting.settle(noResponders(message) ? { kind: 'nobody' } : { kind: 'answer', message })
  }

  #failed(err: Error): void {
    this.#log.error({ err }, 'the inbox is refused by the server: permissions of this party are wrong')
  }

  async #watch(): Promise<void> {
    for await (const status of this.nats.status()) {
      if (status.type === 'disconnect') this.#disconnected(status.server)
      else if (status.type === 'reconnect') this.#reconnected(status.server)
      else if (status.type === 'error') this.#serverError(status.error)
    }
    this.#connected = false
  }

  #disconnected(server: string): void {
    // Told again at each dial that fails.
    if (this.#connected) this.#log.warn({ server }, 'lost the connection to the bus')
    this.#connected = false
  }

  #reconnected(server: string): void {
    this.#connected = true
    this.#log.info({ server }, 'connected to the bus again')
    for (const { settle } of [...this.#waiting.values()]) settle({ kind: 'lost' })
    for (const callback of [...this.#onConnected]) callback()
    for (const callback of [...this.#onReconnect]) callback()
  }

  #serverError(err: Error): void {
    this.#log.error({ err }, 'the bus reported an error')
    // A publication that is not allowed gets no answer, only this error.
    if (!('operation' in err) || err.operation !== 'publish' || !('subject' in err)) return
    for (const { subject, settle } of [...this.#waiting.values()])
      if (subject === err.subject) settle({ kind: 'denied' })
  }
}

/** The server's own answer where nobody listens: status 503, nothing in it. */
export function noResponders(message: Msg): boolean {
  return message.data.length === 0 && message.headers?.code === 503
}
