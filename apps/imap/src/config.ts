import { blobsDescription, bytesSettings } from '@postbus/blobs'
import { proxyNetworks, unlimitedClients } from '@postbus/listener'
import { commonConfig } from '@postbus/service'
import { z } from 'zod'

const positive = z.coerce.number().int().positive()
const port = z.coerce.number().int().min(0).max(65535)
const KIB = 1024
const MIB = 1024 * KIB

export const ImapConfig = z.object({
  ...commonConfig,
  LISTEN_HOST: z.string().default('127.0.0.1').describe('Address to listen on.'),
  IMAP_PORT: port.default(2143).describe('Port for IMAP with STARTTLS.'),
  IMAPS_PORT: port.default(2993).describe('Port for IMAP over TLS (RFC 8314).'),
  TLS_CERT_FILE: z.string().describe('PEM file of the certificate chain; read again when it changes.'),
  TLS_KEY_FILE: z.string().describe('PEM file of the private key.'),
  BLOBS: z.string().default('blobs').describe(blobsDescription),
  ...bytesSettings,
  IMAP_PLAINTEXT_LOGIN: z.stringbool().default(false).describe('Allow passwords on unencrypted connections.'),
  OAUTH_ISSUER: z
    .string()
    .min(1)
    .optional()
    .describe('Set where it is set for directory: tokens of this issuer log in, by OAUTHBEARER and XOAUTH2.'),
  IMAP_PROXY_NETWORKS: proxyNetworks,
  IMAP_MAX_CONNECTIONS: positive.default(10_000).describe('Connections at once.'),
  IMAP_MAX_CONNECTIONS_PER_ADDRESS: positive.default(100).describe('Connections at once from one client address.'),
  IMAP_UNLIMITED_CLIENTS: unlimitedClients,
  IMAP_MAX_SESSIONS_PER_ACCOUNT: positive
    .default(300)
    .describe('Sessions of one account at once in this process; clients with a connection per mailbox have some ten.'),
  // RFC 9051 §5.4: an autologout timer of at least 30 minutes.
  IMAP_AUTOLOGOUT_MS: positive
    .min(1_800_000)
    .default(1_860_000)
    .describe('A session that says nothing for so long ends (ms).'),
  IMAP_LOGIN_TIMEOUT_MS: positive.default(180_000).describe('The same before login (ms).'),
  IMAP_STALL_TIMEOUT_MS: positive
    .default(300_000)
    .describe(
      'A client that stops in the middle of a command, or reads nothing of an answer, is gone after so long (ms).',
    ),
  // RFC 7162 §4: at least 8192 octets for clients that name many UIDs; RFC 2683 §3.2.1.5 asks for 8000.
  IMAP_MAX_LINE_BYTES: positive
    .min(8192)
    .max(MIB)
    .default(64 * KIB)
    .describe('Longest command, without its literals (bytes).'),
  IMAP_MAX_LITERAL_BYTES: positive
    .min(4096)
    .max(16 * MIB)
    .default(128 * KIB)
    .describe('Literals of one command together, apart from messages (bytes).'),
  IMAP_MAX_APPEND_BYTES: positive
    .default(64 * MIB)
    .describe('Largest message a client may append (bytes); at most what mailstore accepts.'),
  IMAP_MAX_BUFFERED_BYTES: positive
    .min(16 * KIB)
    .default(256 * KIB)
    .describe('What waits for one slow reader before its command waits, too (bytes).'),
  IMAP_READ_AHEAD_BYTES: z.coerce
    .number()
    .int()
    .nonnegative()
    .default(32 * MIB)
    .describe(
      'Messages read ahead for clients that fetch one after the other, of all sessions together; each takes 256 KiB, and does without when there is no more. 0: none is (bytes).',
    ),
  IMAP_KNOWN_BYTES: z.coerce
    .number()
    .int()
    .nonnegative()
    .default(64 * MIB)
    .describe(
      'Flags, envelopes and structures kept for the next FETCH of many messages, of all mailboxes together; what was not used for longest goes. 0: none are (bytes).',
    ),
  IMAP_MAX_COMMANDS_PER_SECOND: positive
    .default(5000)
    .describe('Commands of one connection per second; a client that sends more waits.'),
  IMAP_MAX_COMMANDS_BEFORE_LOGIN: positive.default(100).describe('Commands of one connection that does not log in.'),
  IMAP_MAX_BAD_COMMANDS: positive.default(20).describe('After so many bad commands in a row the connection ends.'),
  IMAP_MAX_FAILED_LOGINS: positive.default(5).describe('After so many failed logins the connection ends.'),
  IMAP_RECHECK_MS: positive
    .min(1000)
    .default(30_000)
    .describe('A session looks after its mailbox at least so often, in case a hint was lost (ms).'),
  IMAP_IDLE_KEEPALIVE_MS: positive
    .min(10_000)
    .default(120_000)
    .describe('An idling client gets a line so often, so that nothing on the way forgets the connection (ms).'),
})
export type ImapConfig = z.infer<typeof ImapConfig>
