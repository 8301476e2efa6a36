import { blobsDescription, bytesSettings } from '@postbus/blobs'
import { proxyNetworks, unlimitedClients } from '@postbus/listener'
import { commonConfig } from '@postbus/service'
import { z } from 'zod'

export const Pop3Config = z.object({
  ...commonConfig,
  LISTEN_HOST: z.string().default('127.0.0.1').describe('Address to listen on.'),
  POP3_PORT: z.coerce.number().int().min(0).max(65535).default(2110).describe('Port for POP3 with STLS.'),
  POP3S_PORT: z.coerce.number().int().min(0).max(65535).default(2995).describe('Port for POP3 over TLS (RFC 8314).'),
  TLS_CERT_FILE: z.string().describe('PEM file of the certificate chain; read again when it changes.'),
  TLS_KEY_FILE: z.string().describe('PEM file of the private key.'),
  BLOBS: z.string().describe(blobsDescription),
  ...bytesSettings,
  POP3_PLAINTEXT_LOGIN: z.stringbool().default(false).describe('Allow passwords on unencrypted connections.'),
  OAUTH_ISSUER: z
    .string()
    .min(1)
    .optional()
    .describe('Set where it is set for directory: tokens of this issuer log in, by OAUTHBEARER and XOAUTH2.'),
  // RFC 1939 §3: an autologout timer of at least 10 minutes.
  POP3_IDLE_TIMEOUT_MS: z.coerce
    .number()
    .int()
    .min(600_000)
    .default(600_000)
    .describe('A session that says nothing, or takes nothing, for so long ends without removing anything (ms).'),
  POP3_LOGIN_TIMEOUT_MS: z.coerce
    .number()
    .int()
    .positive()
    .default(60_000)
    .describe('Time to log in, from the beginning of the connection (ms).'),
  POP3_MAX_BAD_COMMANDS: z.coerce
    .number()
    .int()
    .positive()
    .default(20)
    .describe('After so many refused commands in a row the connection ends.'),
  POP3_MAX_CONNECTIONS: z.coerce.number().int().positive().default(5000).describe('Connections at once.'),
  POP3_MAX_CONNECTIONS_PER_ADDRESS: z.coerce
    .number()
    .int()
    .positive()
    .default(50)
    .describe('Connections at once from one client address.'),
  POP3_LOCK_MS: z.coerce
    .number()
    .int()
    .min(1000)
    .default(5000)
    .describe('A maildrop whose session died with its process is free after so long (ms).'),
  POP3_PROXY_NETWORKS: proxyNetworks,
  POP3_UNLIMITED_CLIENTS: unlimitedClients,
})
export type Pop3Config = z.infer<typeof Pop3Config>
