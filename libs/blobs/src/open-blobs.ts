/** One setting says where bytes are kept: a directory, a bucket, or a database. */
import { isS3, s3Options, s3Settings } from '@postbus/s3/settings'
import type { PostgresOptions } from '@postbus/sql'
import { databaseSettings, isPostgres } from '@postbus/sql/settings'
import { z } from 'zod'

import type { BlobStore } from './blobs.ts'
import { localBlobs } from './local-blobs.ts'

/** For the setting of every service that opens them. */
export const blobsDescription =
  'Where large message bytes are, the same for mailstore, imap and pop3: a directory that all of a machine share, s3://bucket/prefix, or postgres://user:password@host:port/database.'

/** Settings of every service that reads or writes bytes of messages; it spreads these into its own schema. */
export const bytesSettings = {
  ...s3Settings,
  ...databaseSettings,
  BYTES_CONNECTIONS: z.coerce
    .number()
    .int()
    .min(2)
    .max(1000)
    .default(4)
    .describe(
      'Connections at most to the PostgreSQL that SPOOL or BLOBS names, for each of them; a mailstore opens BLOBS in every thread.',
    ),
}

export type BytesSettings = z.infer<z.ZodObject<typeof bytesSettings>>

export const bytesDatabase = (settings: BytesSettings): Omit<PostgresOptions, 'schema'> => ({
  connections: settings.BYTES_CONNECTIONS,
  busyTimeoutMs: settings.DATABASE_BUSY_TIMEOUT_MS,
  connectTimeoutMs: settings.DATABASE_CONNECT_TIMEOUT_MS,
  statementTimeoutMs: settings.DATABASE_STATEMENT_TIMEOUT_MS,
})

/** For programs that are no service. @throws ZodError */
export const bytesSettingsIn = (env: Record<string, string | undefined>): BytesSettings =>
  z.object(bytesSettings).parse(env)

/** Blobs that another thread is to open. */
export interface BlobsAt {
  location: string
  /** Needed by all but directories. */
  settings?: BytesSettings
}

/** Whether a setting names something of this machine's files, and no server. */
export const isPath = (location: string): boolean => !isS3(location) && !isPostgres(location)

/** @param location a directory, `s3://bucket/prefix`, or `postgres://user:password@host:port/database` @throws TypeError */
export async function openBlobs(location: string, settings?: BytesSettings): Promise<BlobStore> {
  if (isPath(location)) return localBlobs(location)
  if (!settings) throw new TypeError('blobs in S3 or PostgreSQL need settings')
  if (isS3(location)) return (await import('./s3-blobs.ts')).s3Blobs(location, s3Options(settings))
  const { postgresBlobs } = await import('./postgres/postgres-blobs.ts')
  return postgresBlobs(location, bytesDatabase(settings))
}
