/** What can go wrong with a store of objects, as types a caller can decide by. */

/** It did not answer, or said that it cannot now, until the deadline. Whether a write happened is not known. */
export class S3Unavailable extends Error {
  override readonly name = 'S3Unavailable'
}

/** It said no, and will say so again: keys, rights, a bucket that is not there. */
export class S3Refused extends Error {
  override readonly name = 'S3Refused'
  readonly status: number
  /** S3's own word, `AccessDenied`; '' where it gave none. */
  readonly code: string

  constructor(status: number, code: string, message: string) {
    super(message)
    this.status = status
    this.code = code
  }
}

export class NoSuchObject extends Error {
  override readonly name = 'NoSuchObject'
}
