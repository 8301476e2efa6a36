/** Settings of every service that keeps tables. They concern a PostgreSQL server; a SQLite file has no use for them. */
import { z } from 'zod'

import type { PostgresOptions } from './postgres/database.ts'

const ms = z.coerce.number().int().max(3_600_000)

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

export function databaseOptions(config: DatabaseSettings): Omit<PostgresOptions, 'schema'> {
  return {
    connections: config.DATABASE_CONNECTIONS,
    busyTimeoutMs: config.DATABASE_BUSY_TIMEOUT_MS,
    connectTimeoutMs: config.DATABASE_CONNECT_TIMEOUT_MS,
    statementTimeoutMs: config.DATABASE_STATEMENT_TIMEOUT_MS,
  }
}
