/**
 * Turns between transactions of all processes: PostgreSQL's advisory locks, held until the end of a transaction. A transaction takes its
 * locks in its first message and reads afterwards, at READ COMMITTED: so it sees all that the one before it committed.
 */
import { hash } from 'node:crypto'

/** Whoever is alone has it; whoever names locks shares it. */
const WHOLE = ''

/** @param names see TransactionOptions.locks. @returns SQL without parameters. */
export function lockStatements(schema: string, names: readonly string[] | undefined): string {
  const whole = lockKey(schema, WHOLE)
  if (names === undefined) return `select pg_advisory_xact_lock(${whole})`
  const shared = `select pg_advisory_xact_lock_shared(${whole})`
  if (names.length === 0) return shared
  // In one order everywhere: nobody waits in a circle.
  const keys = [...new Set(names.map((name) => lockKey(schema, name)))].sort((one, other) => (one < other ? -1 : 1))
  return `${shared}; select pg_advisory_xact_lock(key) from unnest('{${keys.join()}}'::bigint[]) as key`
}

/** The names of locks are those of a database; schemas share it. Two names with one hash only wait without need. */
function lockKey(schema: string, name: string): bigint {
  return hash('sha256', JSON.stringify([schema, name]), 'buffer').readBigInt64BE(0)
}
