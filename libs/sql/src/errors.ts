/**
 * What can go wrong with a database, as types a caller can decide by: slow down (full, busy), answer the asker
 * (constraint), or stop (corrupt). Everything else stays what it was: we do not know.
 */

/** No room on the disk. Nothing of the transaction was stored. */
export class StorageFull extends Error {
  override readonly name = 'StorageFull'
}

/** Others held what we need for longer than we wait, or the server cannot be reached. Nothing of the transaction was stored. */
export class StorageBusy extends Error {
  override readonly name = 'StorageBusy'
}

/** The database is damaged or is none. Going on would make it worse. */
export class StorageCorrupt extends Error {
  override readonly name = 'StorageCorrupt'
}

/** The disk, the server or our rights failed us. Whether a commit happened is not known. */
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
