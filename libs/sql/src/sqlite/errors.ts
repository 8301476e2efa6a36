/** What node:sqlite throws, as the types of errors.ts. */
import {
  type Constraint,
  ConstraintViolated,
  StorageBusy,
  StorageCorrupt,
  StorageFailed,
  StorageFull,
} from '../errors.ts'

/** https://www.sqlite.org/rescode.html — the low byte is the primary code. */
const kinds: Record<number, new (message: string, options: ErrorOptions) => Error> = {
  5: StorageBusy, // SQLITE_BUSY
  6: StorageBusy, // SQLITE_LOCKED
  8: StorageFailed, // SQLITE_READONLY
  10: StorageFailed, // SQLITE_IOERR
  11: StorageCorrupt, // SQLITE_CORRUPT
  13: StorageFull, // SQLITE_FULL
  14: StorageFailed, // SQLITE_CANTOPEN
  26: StorageCorrupt, // SQLITE_NOTADB
}

const SQLITE_CONSTRAINT = 19

const constraints: Record<number, Constraint> = {
  275: 'check',
  787: 'foreignKey',
  1299: 'notNull',
  1555: 'unique', // primary key
  2067: 'unique',
  2579: 'unique', // rowid
}

/** The typed error; anything unknown is returned as it is. */
export function sqliteError(error: unknown, path: string): unknown {
  if (!(error instanceof Error) || !('errcode' in error) || typeof error.errcode !== 'number') return error
  const message = `${path}: ${error.message}`
  const primary = error.errcode & 0xff
  if (primary === SQLITE_CONSTRAINT) {
    return new ConstraintViolated(constraints[error.errcode] ?? 'other', message, { cause: error })
  }
  const Kind = kinds[primary]
  return Kind === undefined ? error : new Kind(message, { cause: error })
}
