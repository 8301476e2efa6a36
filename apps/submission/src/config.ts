import { intakeDefaults } from '@postbus/intake'
import { areNetworks, smtpDefaults } from '@postbus/listener'
import { commonConfig } from '@postbus/service'
import { defaultLimits } from '@postbus/spool'
import { z } from 'zod'

const count = z.coerce.number().int().positive()
const port = z.coerce.number().int().min(0).max(65_535)

export const SubmissionConfig = z.object({
  ...commonConfig,
  MAIL_HOSTNAME: z
    .string()
    .min(1)
    .describe('Our domain name in the greeting, in Received fields and in Message-IDs we add.'),
  LISTEN_HOST: z.string().default('::').describe('Address to listen on.'),
  SUBMISSION_PORT: port.default(2587).describe('Port for submission with STARTTLS (RFC 6409).'),
  SUBMISSIONS_PORT: port.default(2465).describe('Port for submission over TLS (RFC 8314).'),
  TLS_CERT_FILE: z.string().min(1).describe('PEM file of the certificate chain.'),
  TLS_KEY_FILE: z.string().min(1).describe('PEM file of its private key. Both are read again when they change.'),
  SPOOL_DIR: z
    .string()
    .min(1)
    .default('spool')
    .describe('Directory of the spool; the same for all services of a machine.'),
  SPOOL_WRITER: z
    .string()
    .min(1)
    .default('submission')
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
  SUBMISSION_MAX_MESSAGE_BYTES: count
    .default(smtpDefaults.maxMessageOctets)
    .describe('Largest message taken, as SIZE announces it (octets).'),
  // RFC 5321 §4.5.3.1.8: 100 at least.
  SUBMISSION_MAX_RECIPIENTS: count
    .min(100)
    .default(smtpDefaults.maxRecipients)
    .describe('Recipients of one message; further ones are told to come in another.'),
  // RFC 5321 §4.5.3.1.6: 1000 octets at least.
  SUBMISSION_MAX_TEXT_LINE: count
    .min(1000)
    .default(smtpDefaults.maxTextLine)
    .describe('Longest line of a message, CRLF included (octets); a longer one is refused.'),
  SUBMISSION_MAX_HEADER_BYTES: count
    .min(1000)
    .default(intakeDefaults.maxHeaderBytes)
    .describe('Longest header of a message (octets); a longer one is refused.'),
  SUBMISSION_BARE_LINE_ENDINGS: z
    .enum(['refuse', 'repair'])
    .default(smtpDefaults.bareLineEndings)
    .describe(
      'A message with a bare CR or LF: refused, or taken with CRLF in its place, for old devices. Neither ever ends a message.',
    ),
  SUBMISSION_MAX_CONNECTIONS: count.default(smtpDefaults.maxConnections).describe('Connections at once, on each port.'),
  SUBMISSION_MAX_CONNECTIONS_PER_CLIENT: count
    .default(smtpDefaults.maxConnectionsPerClient)
    .describe('Connections at once from one IPv4 address or one IPv6 /64, on each port.'),
  SUBMISSION_MAX_BAD_COMMANDS: count
    .default(smtpDefaults.maxBadCommands)
    .describe('Protocol errors after which a session ends.'),
  SUBMISSION_MAX_REFUSED_RECIPIENTS: count
    .default(smtpDefaults.maxRefusedRecipients)
    .describe('Recipients refused for good after which a session ends; counted anew after each message taken.'),
  // RFC 5321 §4.5.3.2.7: 5 minutes at least.
  SUBMISSION_IDLE_TIMEOUT_MS: count
    .min(300_000)
    .default(smtpDefaults.idleTimeoutMs)
    .describe('A client that says nothing for so long is disconnected (ms).'),
  SUBMISSION_PROXY_NETWORKS: z
    .string()
    .default('')
    .transform((list) => list.split(/[\s,]+/).filter((network) => network !== ''))
    .refine(areNetworks, 'addresses or networks such as 10.0.0.0/8, separated by commas')
    .describe('Addresses and networks of balancers that speak the PROXY protocol, separated by commas.'),
  SUBMISSION_CACHE_ENTRIES: z.coerce
    .number()
    .int()
    .min(0)
    .max(1_000_000)
    .default(10_000)
    .describe('Answers of the directory about recipients that are kept.'),
  SUBMISSION_CACHE_MS: z.coerce
    .number()
    .int()
    .min(0)
    .max(60_000)
    .default(5000)
    .describe('An answer of the directory is kept at most so long (ms); a change is heard of sooner.'),
})
export type SubmissionConfig = z.infer<typeof SubmissionConfig>
