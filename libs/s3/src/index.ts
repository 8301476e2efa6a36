/**
 * @postbus/s3 — the part of S3 that bytes of mail need: new objects whole or in parts, reading by range, copies on the server,
 * listing, deleting; on any server that speaks it.
 */
export { Bucket, type ObjectFacts, type ObjectPlace } from './bucket.ts'
export type { Listed } from './documents.ts'
export { NoSuchObject, S3Refused, S3Unavailable } from './errors.ts'
export { inParts, type Part } from './in-parts.ts'
export { s3Location } from './location.ts'
export type { S3Options } from './settings.ts'
export type { Upload } from './upload.ts'
