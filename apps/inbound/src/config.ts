import { resolverSettings } from '@postbus/directory-client'
import { intakeSettings } from '@postbus/intake'
import { smtpSettings } from '@postbus/listener'
import { commonConfig } from '@postbus/service'
import { z } from 'zod'

export const InboundConfig = z
  .object({
    ...commonConfig,
    ...smtpSettings,
    ...intakeSettings,
    ...resolverSettings,
    INBOUND_PORT: z.coerce.number().int().min(0).max(65_535).default(2025).describe('Port for mail from other hosts.'),
    TLS_CERT_FILE: z.string().optional().describe('PEM file of the certificate chain; without it no STARTTLS.'),
    TLS_KEY_FILE: z.string().optional().describe('PEM file of its private key. Both are read again when they change.'),
    INBOUND_REVERSE_NAMES: z
      .stringbool()
      .default(true)
      .describe("Look up clients' names for Received fields. No greeting waits for it."),
    INBOUND_REVERSE_TIMEOUT_MS: z.coerce
      .number()
      .int()
      .positive()
      .max(30_000)
      .default(1500)
      .describe('A name that takes longer is left out (ms).'),
  })
  .refine((config) => (config.TLS_CERT_FILE === undefined) === (config.TLS_KEY_FILE === undefined), {
    path: ['TLS_KEY_FILE'],
    message: 'certificate and key are needed together',
  })
export type InboundConfig = z.infer<typeof InboundConfig>
