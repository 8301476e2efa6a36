import { resolverSettings } from '@postbus/directory-client'
import { intakeSettings } from '@postbus/intake'
import { smtpSettings } from '@postbus/listener'
import { commonConfig } from '@postbus/service'
import { z } from 'zod'

const port = z.coerce.number().int().min(0).max(65_535)

export const SubmissionConfig = z.object({
  ...commonConfig,
  ...smtpSettings,
  ...intakeSettings,
  ...resolverSettings,
  SUBMISSION_PORT: port.default(2587).describe('Port for submission with STARTTLS (RFC 6409).'),
  SUBMISSIONS_PORT: port.default(2465).describe('Port for submission over TLS (RFC 8314).'),
  TLS_CERT_FILE: z.string().min(1).describe('PEM file of the certificate chain.'),
  TLS_KEY_FILE: z.string().min(1).describe('PEM file of its private key. Both are read again when they change.'),
  OAUTH_ISSUER: z
    .string()
    .min(1)
    .optional()
    .describe('Set where it is set for directory: tokens of this issuer log in, by OAUTHBEARER and XOAUTH2.'),
})
export type SubmissionConfig = z.infer<typeof SubmissionConfig>
