/** A PostgreSQL database as an operator sees it: whether it can be reached, keeps what it confirms, and holds the service's tables. */
import { sql } from 'kysely'

import { openPostgres } from './database.ts'

export interface ServerReport {
  /** Such as `15.18`. */
  version: string
  /** Steps of the schema that were taken, in order; null: there is no schema. */
  steps: string[] | null
  /** Settings by which the server loses what it confirmed when the power is cut. */
  unsafe: string[]
  /** A standby: nothing can be written. */
  isStandby: boolean
}

const TIMEOUT_MS = 5000
const UNSAFE = ['fsync', 'full_page_writes']

/** @throws StorageBusy, StorageFailed: it cannot be reached, or refuses us */
export async function examinePostgres(url: string, schema: string): Promise<ServerReport> {
  const times = { busyTimeoutMs: TIMEOUT_MS, connectTimeoutMs: TIMEOUT_MS, statementTimeoutMs: TIMEOUT_MS }
  const db = openPostgres<{ schema_version: { version: number; name: string } }>(url, {
    schema,
    readOnly: true,
    ...times,
  })
  try {
    const settings = await sql<{ name: string; setting: string }>`select name, setting from pg_settings`.execute(
      db.query,
    )
    const setting = (wanted: string) => settings.rows.find(({ name }) => name === wanted)?.setting ?? ''
    const { rows } = await sql<{ is_standby: number; is_there: number }>`
      select pg_is_in_recovery() as is_standby, to_regclass('schema_version') is not null as is_there`.execute(db.query)
    const isThere = rows[0]?.is_there === 1
    const steps = isThere
      ? await db.query.selectFrom('schema_version').select('name').orderBy('version').execute()
      : null
    return {
      version: setting('server_version').split(' ')[0] ?? '',
      steps: steps?.map(({ name }) => name) ?? null,
      unsafe: UNSAFE.filter((name) => setting(name) === 'off'),
      isStandby: rows[0]?.is_standby === 1,
    }
  } finally {
    await db.close()
  }
}
