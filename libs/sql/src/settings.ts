/**
 * Settings of every service that keeps tables. All but the location concern a PostgreSQL server; a SQLite file has no use for them.
 *
 * An entry of its own (`@postbus/sql/settings`): who only reads settings need not load a query builder and a driver.
 */
import type { MetricsRegistry } from '@postbus/metrics'
import { z } from 'zod'

import { isPostgres } from './location.ts'
import { databaseMetrics } from './metrics.ts'
import type { DatabaseOptions } from './open-database.ts'

export { isPostgres }

const ms = z.coerce.number().int().max(3_600_000)

/** @param what is kept there, as the beginning of a sentence */
export const databaseLocation = (file: string, what: string) =>
  z
    .string()
    .min(1)
    .refine((location) => isPath(location) || isPostgresUrl(location), {
      error: 'must be the path of a file, or postgres://user:password@host:port/database',
    })
    .default(file)
    .meta({ secret: true })
    .describe(
      `${what}: the path of a SQLite file, or postgres://user:password@host:port/database (?sslmode=verify-full&sslrootcert=… for TLS).`,
    )

const isPath = (location: string): boolean => !/^[a-z][a-z+]*:\/\//i.test(location)
const isPostgresUrl = (location: string): boolean => isPostgres(location) && URL.canParse(location)

/** A service spreads these into its own schema. */
export const databaseSettings = {
  DATABASE_CONNECTIONS: z.coerce
    .number()
    .int()
    .min(2)
    .max(1000)
    .default(10)
    .describe('Connections of one process to its PostgreSQL at most; half of them read.'),
  DATABASE_BUSY_TIMEOUT_MS: ms
    .min(100)
    .default(10_000)
    .describe('What waits for PostgreSQL, or for others in it, so long is refused, to be tried again (ms).'),
  DATABASE_CONNECT_TIMEOUT_MS: ms.min(100).default(5000).describe('Time for one try to connect to PostgreSQL (ms).'),
  DATABASE_STATEMENT_TIMEOUT_MS: ms
    .min(1000)
    .default(30_000)
    .describe('Time for one statement in PostgreSQL; migrations take as long as they need (ms).'),
}

export type DatabaseSettings = z.infer<z.ZodObject<typeof databaseSettings>>

interface Log {
  warn(fields: { err: Error }, text: string): void
  info(text: string): void
}

/** @param metrics counts reads and transactions there */
export function databaseOptions(
  config: DatabaseSettings,
  log: Log,
  metrics?: MetricsRegistry,
): Omit<DatabaseOptions, 'schema'> {
  return {
    connections: config.DATABASE_CONNECTIONS,
    busyTimeoutMs: config.DATABASE_BUSY_TIMEOUT_MS,
    connectTimeoutMs: config.DATABASE_CONNECT_TIMEOUT_MS,
    statementTimeoutMs: config.DATABASE_STATEMENT_TIMEOUT_MS,
    waiting: (err) =>
      log.warn({ err }, 'PostgreSQL cannot be reached; what needs it waits, and is refused for a while in the end'),
    recovered: () => log.info('PostgreSQL answers again'),
    ...(metrics && { observer: databaseMetrics(metrics) }),
  }
}
