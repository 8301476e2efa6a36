/** What `pg` throws, as the types of errors.ts. */
import { DatabaseError } from 'pg'

import {
  type Constraint,
  ConstraintViolated,
  StorageBusy,
  StorageCorrupt,
  StorageFailed,
  StorageFull,
} from '../errors.ts'

type Kind = new (message: string, options: ErrorOptions) => Error

/** https://www.postgresql.org/docs/current/errcodes-appendix.html */
const kinds: Record<string, Kind> = {
  '25006': StorageFailed, // read_only_sql_transaction
  '40001': StorageBusy, // serialization_failure
  '40P01': StorageBusy, // deadlock_detected
  '53000': StorageBusy, // insufficient_resources
  '53100': StorageFull, // disk_full
  '53200': StorageBusy, // out_of_memory
  '53300': StorageBusy, // too_many_connections
  '53400': StorageBusy, // configuration_limit_exceeded
  '55P03': StorageBusy, // lock_not_available
  '57014': StorageBusy, // query_canceled: it took too long
  '58030': StorageFailed, // io_error
  '58P01': StorageFailed, // undefined_file
  XX001: StorageCorrupt, // data_corrupted
  XX002: StorageCorrupt, // index_corrupted
}

/** By the first two characters, where nothing above says otherwise. */
const classes: Record<string, Kind> = {
  '08': StorageBusy, // connection exception
  '28': StorageFailed, // invalid authorization: waiting does not help
  '3D': StorageFailed, // no such database
  '57': StorageBusy, // operator intervention: shutting down, starting up, not yet accepting
}

const constraints: Record<string, Constraint> = {
  '23502': 'notNull',
  '23503': 'foreignKey',
  '23505': 'unique',
  '23514': 'check',
}

/** Of the session itself, which is over then. */
const ENDING = /^(08|57P|25P03|25P04|28|3D|53300)/
/** The server says no before it has written anything of the commit. */
const NOT_COMMITTED = /^(21|22|23|25|40|42|44|53|54|55)/

/** A server that cannot prove who it is, or refuses to speak TLS, will not do better the next time. */
const TLS_REFUSED = /^ERR_(TLS|SSL)|CERT|SELF_SIGNED|UNABLE_TO_(GET|VERIFY)|HOSTNAME_MISMATCH/

/** The typed error; anything unknown is returned as it is. */
export function postgresError(error: unknown, name: string): unknown {
  // A value that cannot be held: see values.ts.
  if (!(error instanceof Error) || error instanceof RangeError || error instanceof TypeError) return error
  const message = `${name}: ${error.message || String(error)}`
  const options = { cause: error }
  const code = codeOf(error)
  if (!(error instanceof DatabaseError)) {
    const isRefused = TLS_REFUSED.test(code) || error.message.includes('does not support SSL')
    // All else `pg` throws by itself is about the connection.
    return isRefused ? new StorageFailed(message, options) : new StorageBusy(message, options)
  }
  if (code.startsWith('23')) return new ConstraintViolated(constraints[code] ?? 'other', message, options)
  if (isPlanOutdated(error)) return new StorageBusy(message, options)
  const KindOfError = kinds[code] ?? classes[code.slice(0, 2)]
  return KindOfError === undefined ? error : new KindOfError(message, options)
}

/** Whether the connection it came from is of no more use. */
export function endsConnection(error: unknown): boolean {
  if (error instanceof RangeError || error instanceof TypeError) return false
  return !(error instanceof DatabaseError) || ENDING.test(codeOf(error)) || isPlanOutdated(error)
}

/** Whether what a COMMIT was answered with leaves open if it happened. */
export function leavesCommitOpen(error: unknown): boolean {
  return !(error instanceof DatabaseError) || !NOT_COMMITTED.test(codeOf(error))
}

const codeOf = (error: Error): string => ('code' in error && typeof error.code === 'string' ? error.code : '')

/** A newer program has changed a table under a statement this connection keeps prepared; a new connection prepares it anew. */
const isPlanOutdated = (error: DatabaseError): boolean =>
  error.code === '0A000' && error.routine === 'RevalidateCachedQuery'
