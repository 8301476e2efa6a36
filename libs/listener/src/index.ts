/**
 * @postbus/listener — the open side of the platform: TLS with certificates that renew, PROXY protocol, limits, draining.
 *
 * `listenSmtp` is smtp-server with promises, SmtpError and RFC 5321's own grammar and line discipline; `listenTcp` is the
 * same front door for protocols whose sessions are ours.
 */
export { listenSmtp, type Listener } from './listen-smtp.ts'
export { listenTcp, tcpDefaults, type Session, type TcpListenOptions } from './listen-tcp.ts'
export type { TcpConnection } from './tcp-connection.ts'
export { connectionMetrics, connectionTable, type ConnectionMetrics } from './metrics.ts'
export { authTable, smtpMetrics, smtpTable, submissionMetrics, type SmtpMetrics } from './smtp/metrics.ts'
export {
  smtpDefaults,
  type Accepted,
  type Login,
  type LoginAttempt,
  type SmtpClient,
  type SmtpEnvelope,
  type SmtpHandlers,
  type SmtpListenOptions,
} from './smtp/types.ts'
export type { MailCommand, RcptCommand } from './smtp/envelope-commands.ts'
export type { Overload } from './limits.ts'
export type { TlsFiles } from './certificates.ts'
export type { TlsFacts } from './tls-facts.ts'
export { smtpOptions, smtpSettings, type SmtpSettings } from './smtp/settings.ts'
export { proxyNetworks, unlimitedClients } from './networks.ts'
