import { intakeDefaults } from '@postbus/intake'
import { areNetworks, smtpDefaults } from '@postbus/listener'
import { commonConfig } from '@postbus/service'
import { defaultLimits } from '@postbus/spool'
import { z } from 'zod'

const count = z.coerce.number().int().positive()
const port = z.coerce.number().int().min(0).max(65_535)

export const InboundConfig = z
  .object({
    ...commonConfig,
    MAIL_HOSTNAME: z.string().min(1).describe('Our domain name in the greeting and in Received fields.'),
    LISTEN_HOST: z.string().default('::').describe('Address to listen on.'),
    INBOUND_PORT: port.default(2025).describe('Port for mail from other hosts.'),
    TLS_CERT_FILE: z.string().optional().describe('PEM file of the certificate chain; without it no STARTTLS.'),
    TLS_KEY_FILE: z.string().optional().describe('PEM file of its private key. Both are read again when they change.'),
    SPOOL_DIR: z
      .string()
      .min(1)
      .default('spool')
      .describe('Directory of the spool; the same for all services of a machine.'),
    SPOOL_WRITER: z
      .string()
      .min(1)
      .default('inbound')
      .describe('Name of this writer in the spool; another one for every replica.'),
    SPOOL_MAX_BYTES: count
      .optional()
      .describe(
        'What the spool may hold in all (octets); beyond, mail is refused with 452. Without it, what the disk has.',
      ),
    SPOOL_MIN_FREE_BYTES: z.coerce
      .number()
      .int()
      .min(0)
      .default(defaultLimits.minFreeBytes)
      .describe('What must stay free on the disk of the spool (octets).'),
    INBOUND_MAX_MESSAGE_BYTES: count
      .default(smtpDefaults.maxMessageOctets)
      .describe('Largest message taken, as SIZE announces it (octets).'),
    // RFC 5321 §4.5.3.1.8: 100 at least.
    INBOUND_MAX_RECIPIENTS: count
      .min(100)
      .default(smtpDefaults.maxRecipients)
      .describe('Recipients of one message; further ones are told to come in another.'),
    // RFC 5321 §4.5.3.1.6: 1000 octets at least.
    INBOUND_MAX_TEXT_LINE: count
      .min(1000)
      .default(smtpDefaults.maxTextLine)
      .describe('Longest line of a message, CRLF included (octets); a longer one is refused.'),
    INBOUND_MAX_HEADER_BYTES: count
      .min(1000)
      .default(intakeDefaults.maxHeaderBytes)
      .describe('Longest header of a message (octets); a longer one is refused.'),
    INBOUND_BARE_LINE_ENDINGS: z
      .enum(['refuse', 'repair'])
      .default(smtpDefaults.bareLineEndings)
      .describe(
        'A message with a bare CR or LF: refused, or taken with CRLF in its place. Neither ever ends a message.',
      ),
    // RFC 5321 §6.3: 100 at least.
    INBOUND_MAX_HOPS: count
      .min(100)
      .default(intakeDefaults.maxHops)
      .describe('A message with more Received fields goes round in a loop.'),
    INBOUND_MAX_CONNECTIONS: count.default(smtpDefaults.maxConnections).describe('Connections at once.'),
    INBOUND_MAX_CONNECTIONS_PER_CLIENT: count
      .default(smtpDefaults.maxConnectionsPerClient)
      .describe('Connections at once from one IPv4 address or one IPv6 /64.'),
    INBOUND_MAX_BAD_COMMANDS: count
      .default(smtpDefaults.maxBadCommands)
      .describe('Protocol errors after which a session ends.'),
    INBOUND_MAX_REFUSED_RECIPIENTS: count
      .default(smtpDefaults.maxRefusedRecipients)
      .describe('Recipients refused for good after which a session ends; counted anew after each message taken.'),
    // RFC 5321 §4.5.3.2.7: 5 minutes at least.
    INBOUND_IDLE_TIMEOUT_MS: count
      .min(300_000)
      .default(smtpDefaults.idleTimeoutMs)
      .describe('A client that says nothing for so long is disconnected (ms).'),
    INBOUND_PROXY_NETWORKS: z
      .string()
      .default('')
      .transform((list) => list.split(/[\s,]+/).filter((network) => network !== ''))
      .refine(areNetworks, 'addresses or networks such as 10.0.0.0/8, separated by commas')
      .describe('Addresses and networks of balancers that speak the PROXY protocol, separated by commas.'),
    INBOUND_REVERSE_NAMES: z
      .stringbool()
      .default(true)
      .describe("Look up clients' names for Received fields. No greeting waits for it."),
    INBOUND_REVERSE_TIMEOUT_MS: count.max(30_000).default(1500).describe('A name that takes longer is left out (ms).'),
    INBOUND_CACHE_ENTRIES: z.coerce
      .number()
      .int()
      .min(0)
      .max(1_000_000)
      .default(10_000)
      .describe('Answers of the directory about recipients that are kept.'),
    INBOUND_CACHE_MS: z.coerce
      .number()
      .int()
      .min(0)
      .max(60_000)
      .default(5000)
      .describe('An answer of the directory is kept at most so long (ms); a change is heard of sooner.'),
  })
  .refine((config) => (config.TLS_CERT_FILE === undefined) === (config.TLS_KEY_FILE === undefined), {
    path: ['TLS_KEY_FILE'],
    message: 'certificate and key are needed together',
  })
export type InboundConfig = z.infer<typeof InboundConfig>
