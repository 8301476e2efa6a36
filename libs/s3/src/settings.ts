/**
 * Settings of every service that keeps bytes in S3.
 *
 * An entry of its own (`@postbus/s3/settings`): who keeps bytes elsewhere need not load a client.
 */
import { z } from 'zod'

import { isS3 } from './location.ts'

export { isS3 }

const MIB = 1024 ** 2
const ms = z.coerce.number().int().min(100).max(600_000)

/** A service spreads these into its own schema. */
export const s3Settings = {
  S3_ENDPOINT: z
    .url({ protocol: /^https?$/ })
    .optional()
    .describe("The S3 server's URL. Without it, Amazon's of S3_REGION."),
  S3_REGION: z.string().min(1).default('us-east-1').describe('Region that requests to S3 are signed for.'),
  S3_ACCESS_KEY_ID: z.string().min(1).optional().describe('Who we are at S3; needed where bytes are kept there.'),
  S3_SECRET_ACCESS_KEY: z.string().min(1).optional().describe('The secret of S3_ACCESS_KEY_ID.'),
  S3_SESSION_TOKEN: z.string().min(1).optional().describe('Goes with temporary keys of S3.'),
  S3_BUCKET_IN: z
    .enum(['path', 'host'])
    .default('path')
    .describe("Whether requests name the bucket in the path or before the server's name."),
  S3_CA_FILE: z
    .string()
    .min(1)
    .optional()
    .describe("Certificates that S3's is checked against, instead of the system's (PEM)."),
  // S3 takes no smaller part, and at most 10,000 of them.
  S3_PART_BYTES: z.coerce
    .number()
    .int()
    .min(5 * MIB)
    .max(1024 * MIB)
    .default(5 * MIB)
    .describe('Longer messages are sent to S3 in parts of this size; each one under way holds two in memory (octets).'),
  S3_CONNECTIONS: z.coerce
    .number()
    .int()
    .min(1)
    .max(1000)
    .default(64)
    .describe('Connections of one process to S3 at most.'),
  S3_TRY_MS: ms.default(5000).describe('A request to S3 that gets no further for so long is tried again (ms).'),
  S3_DEADLINE_MS: ms
    .default(60_000)
    .describe('After so long a request to S3 is no longer tried again, and has failed (ms).'),
}

export type S3Settings = z.infer<z.ZodObject<typeof s3Settings>>

export interface S3Options {
  /** Without a slash at the end. */
  endpoint: string
  region: string
  accessKeyId: string
  secretAccessKey: string
  sessionToken?: string | undefined
  bucketIn: 'path' | 'host'
  caFile?: string | undefined
  partBytes: number
  connections: number
  tryMs: number
  deadlineMs: number
}

/** @throws TypeError where the keys are missing */
export function s3Options(config: S3Settings): S3Options {
  const { S3_ACCESS_KEY_ID: accessKeyId, S3_SECRET_ACCESS_KEY: secretAccessKey } = config
  if (accessKeyId === undefined || secretAccessKey === undefined) {
    throw new TypeError('bytes in S3 need S3_ACCESS_KEY_ID and S3_SECRET_ACCESS_KEY')
  }
  return {
    endpoint: (config.S3_ENDPOINT ?? `https://s3.${config.S3_REGION}.amazonaws.com`).replace(/\/+$/, ''),
    region: config.S3_REGION,
    ...{ accessKeyId, secretAccessKey },
    sessionToken: config.S3_SESSION_TOKEN,
    bucketIn: config.S3_BUCKET_IN,
    caFile: config.S3_CA_FILE,
    partBytes: config.S3_PART_BYTES,
    connections: config.S3_CONNECTIONS,
    tryMs: config.S3_TRY_MS,
    deadlineMs: config.S3_DEADLINE_MS,
  }
}
