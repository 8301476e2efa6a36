/** What a service gives to its SMTP listener, and what it gets from it. */
import type { Verdict, Verifier } from '@postbus/sasl'
import type { EnhancedStatus } from '@postbus/smtp'
import type { Tracer } from '@postbus/tracing'
import type { Logger } from 'pino'

import type { TlsFiles } from '../certificates.ts'
import type { ConnectionLimits } from '../limits.ts'
import type { TlsFacts } from '../tls-facts.ts'
import type { DataRules } from './data-framing.ts'
import type { MailCommand, RcptCommand } from './envelope-commands.ts'
import type { SmtpMetrics } from './metrics.ts'

/** Who logged in, as the service that checked it says. */
export interface Login {
  account: string
  /** What log lines show. */
  username: string
}

/** What a client says to AUTH, whatever the mechanism, put to whoever decides. Throws the reply to one who says it wrong. */
export type LoginAttempt = <Granted>(verifier: Verifier<Granted>) => Promise<Verdict<Granted>>

/** The other end of one session. Changes with EHLO, STARTTLS and AUTH. */
export interface SmtpClient {
  readonly sessionId: string
  /** The client's, not the balancer's. */
  readonly address: string
  readonly port: number
  /** As it introduced itself; '' before. */
  readonly helo: string
  /** The `with` of a Received field: ESMTP, ESMTPSA, … — RFC 3848, RFC 6531 §4.3. */
  readonly protocol: string
  readonly tls: TlsFacts | null
  readonly login: Login | null
  /** Aborted when the connection is gone. */
  readonly signal: AbortSignal
}

export interface SmtpEnvelope extends MailCommand {
  recipients: RcptCommand[]
}

export interface Accepted {
  /** What the client reads and the log names. */
  queueId: string
}

/** Each refuses by throwing an SmtpError. Anything else thrown is our fault: 451 4.3.0, and an error in the log. */
export interface SmtpHandlers {
  /** Before the greeting, which waits for it: nothing slow here. */
  connect?(client: SmtpClient): void | Promise<void>
  /** Makes AUTH part of the service; over TLS only. Failures are slowed down by whoever checks the password. */
  authenticate?(attempt: LoginAttempt, client: SmtpClient): Promise<Login>
  mailFrom?(mail: MailCommand, client: SmtpClient): void | Promise<void>
  /** Called for pipelined recipients without waiting for the one before; replies keep the order. */
  rcptTo(recipient: RcptCommand, mail: MailCommand, client: SmtpClient): void | Promise<void>
  /**
   * Resolves when the message is ours, durably. `body` ends only if the whole message came and may be kept; otherwise
   * reading it throws, and so should this.
   */
  data(envelope: SmtpEnvelope, body: AsyncIterable<Buffer>, client: SmtpClient): Promise<Accepted>
  closed?(client: SmtpClient): void
}

export interface SmtpRules extends DataRules {
  /** Octets of content, as SIZE announces them. */
  maxMessageOctets: number
  /** Of one message; RFC 5321 §4.5.3.1.8 asks for 100 at least. */
  maxRecipients: number
  /** Protocol errors before the session ends. Forgotten with each message accepted. */
  maxBadCommands: number
  /** Recipients refused for good before the session ends, so that nobody tries all names. Forgotten likewise. */
  maxRefusedRecipients: number
  /** Silence before the session ends; RFC 5321 §4.5.3.2.7 asks for 5 minutes at least. */
  idleTimeoutMs: number
  /** PROXY header and TLS handshake together. */
  handshakeTimeoutMs: number
}

export interface SmtpListenOptions extends Partial<SmtpRules>, Partial<ConnectionLimits> {
  /** Our domain in greeting and EHLO. */
  name: string
  port: number
  host?: string
  /** Without it no STARTTLS is offered. */
  tls?: TlsFiles
  /** TLS from the first byte — RFC 8314 §3.3. */
  implicitTls?: boolean
  /** MAIL is refused before AUTH — RFC 6409 §4.3. */
  authRequired?: boolean
  /** Tokens of an issuer are taken: OAUTHBEARER, XOAUTH2. */
  bearerLogin?: boolean
  /** Balancers that name their client by the PROXY protocol. */
  trustedProxies?: readonly string[]
  metrics: SmtpMetrics
  log: Logger
  /** Begins a trace for each session; null: none is recorded. */
  tracer?: Tracer | null
}

export const smtpDefaults: SmtpRules & ConnectionLimits = {
  bareLineEndings: 'refuse',
  // RFC 5321 §4.5.3.1.6: 1000 octets must be taken, and more should be. Senders of long lines of HTML are many; refusing
  // them would destroy their mail, and nothing behind us needs short lines.
  maxTextLine: 65_536,
  maxMessageOctets: 50 * 1024 * 1024,
  maxRecipients: 1000,
  maxBadCommands: 20,
  maxRefusedRecipients: 100,
  idleTimeoutMs: 300_000,
  handshakeTimeoutMs: 30_000,
  maxConnections: 1000,
  maxConnectionsPerClient: 100,
}

export interface Reply {
  code: number
  /** Null where RFC 2034 §3 wants none: greeting, EHLO, 3yz. */
  status: EnhancedStatus | null
  lines: string[]
}
