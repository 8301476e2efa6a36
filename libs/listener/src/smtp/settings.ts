/** Settings of every service that speaks SMTP to clients, and what they mean to the listener. */
import { z } from 'zod'

import { proxyNetworks, unlimitedClients } from '../networks.ts'
import { smtpDefaults, type SmtpListenOptions } from './types.ts'

const count = z.coerce.number().int().positive()

/** A service spreads these into its own schema. */
export const smtpSettings = {
  MAIL_HOSTNAME: z.string().min(1).describe('Our domain name in the greeting, and in the header fields we add.'),
  LISTEN_HOST: z.string().default('::').describe('Address to listen on.'),
  SMTP_MAX_MESSAGE_BYTES: count
    .default(smtpDefaults.maxMessageOctets)
    .describe('Largest message taken, as SIZE announces it (octets).'),
  // RFC 5321 §4.5.3.1.8: 100 at least.
  SMTP_MAX_RECIPIENTS: count
    .min(100)
    .default(smtpDefaults.maxRecipients)
    .describe('Recipients of one message; further ones are told to come in another.'),
  // RFC 5321 §4.5.3.1.6: 1000 octets at least.
  SMTP_MAX_TEXT_LINE: count
    .min(1000)
    .default(smtpDefaults.maxTextLine)
    .describe('Longest line of a message, CRLF included (octets); a longer one is refused.'),
  SMTP_BARE_LINE_ENDINGS: z
    .enum(['refuse', 'repair'])
    .default(smtpDefaults.bareLineEndings)
    .describe('A message with a bare CR or LF: refused, or taken with CRLF in its place. Neither ever ends a message.'),
  SMTP_MAX_CONNECTIONS: count.default(smtpDefaults.maxConnections).describe('Connections at once, on each port.'),
  SMTP_MAX_CONNECTIONS_PER_CLIENT: count
    .default(smtpDefaults.maxConnectionsPerClient)
    .describe('Connections at once from one IPv4 address or one IPv6 /64, on each port.'),
  SMTP_UNLIMITED_CLIENTS: unlimitedClients,
  SMTP_MAX_BAD_COMMANDS: count
    .default(smtpDefaults.maxBadCommands)
    .describe('Protocol errors after which a session ends.'),
  SMTP_MAX_REFUSED_RECIPIENTS: count
    .default(smtpDefaults.maxRefusedRecipients)
    .describe('Recipients refused for good after which a session ends; counted anew after each message taken.'),
  // RFC 5321 §4.5.3.2.7: 5 minutes at least. Under attack less is the field's practice, and better than serving nobody.
  SMTP_IDLE_TIMEOUT_MS: count
    .min(1000)
    .default(smtpDefaults.idleTimeoutMs)
    .describe(
      'A client that says nothing for so long is disconnected (ms). Less than the 300000 that RFC 5321 asks for only while under attack.',
    ),
  SMTP_PROXY_NETWORKS: proxyNetworks,
}

export type SmtpSettings = z.infer<z.ZodObject<typeof smtpSettings>>

export function smtpOptions(config: SmtpSettings): Omit<SmtpListenOptions, 'port' | 'metrics' | 'log'> {
  return {
    name: config.MAIL_HOSTNAME,
    host: config.LISTEN_HOST,
    maxMessageOctets: config.SMTP_MAX_MESSAGE_BYTES,
    maxRecipients: config.SMTP_MAX_RECIPIENTS,
    maxTextLine: config.SMTP_MAX_TEXT_LINE,
    bareLineEndings: config.SMTP_BARE_LINE_ENDINGS,
    maxBadCommands: config.SMTP_MAX_BAD_COMMANDS,
    maxRefusedRecipients: config.SMTP_MAX_REFUSED_RECIPIENTS,
    maxConnections: config.SMTP_MAX_CONNECTIONS,
    maxConnectionsPerClient: config.SMTP_MAX_CONNECTIONS_PER_CLIENT,
    unlimitedClients: config.SMTP_UNLIMITED_CLIENTS,
    idleTimeoutMs: config.SMTP_IDLE_TIMEOUT_MS,
    trustedProxies: config.SMTP_PROXY_NETWORKS,
  }
}
