/**
 * What can go wrong with a database, as types a caller can decide by: slow down (full, busy), answer the asker
 * (constraint), or stop (corrupt). Everything else stays what it was: we do not know.
 */

/** No room on the disk. Nothing of the transaction was stored. */
export class StorageFull extends Error {
  override readonly name = 'StorageFull'
}

/** Another process held the file for longer than we wait. Nothing of the transaction was stored. */
export class StorageBusy extends Error {
  override readonly name = 'StorageBusy'
}

/** The file is damaged or is no database. Going on would make it worse. */
export class StorageCorrupt extends Error {
  override readonly name = 'StorageCorrupt'
}

/** The disk or its permissions failed us. Whether a commit happened is not known. */
export class StorageFailed extends Error {
  override readonly name = 'StorageFailed'
}

export type Constraint = 'unique' | 'foreignKey' | 'check' | 'notNull' | 'other'

/** The data says no: a key exists already, a row is still referred to. */
export class ConstraintViolated extends Error {
  override readonly name = 'ConstraintViolated'
  readonly constraint: Constraint

  constructor(constraint: Constraint, message: string, options?: ErrorOptions) {
    super(message, options)
    this.constraint = constraint
  }
}

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

/** The typed error for what node:sqlite threw; anything unknown is returned as it is. */
export function storageError(error: unknown, path: string): unknown {
  if (!(error instanceof Error) || !('errcode' in error) || typeof error.errcode !== 'number') return error
  const message = `${path}: ${error.message}`
  const primary = error.errcode & 0xff
  if (primary === SQLITE_CONSTRAINT) {
    return new ConstraintViolated(constraints[error.errcode] ?? 'other', message, { cause: error })
  }
  const Kind = kinds[primary]
  return Kind === undefined ? error : new Kind(message, { cause: error })
}
