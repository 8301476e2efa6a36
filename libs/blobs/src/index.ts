/**
 * @postbus/blobs — message bytes under keys: local files now, S3 and PostgreSQL by the same contract suite
 * (`@postbus/blobs/contract`).
 */
export { BlobExists, type Blobs, BlobTooLarge, InvalidBlobKey, NoSuchBlob } from './blobs.ts'
export { localBlobs } from './local-blobs.ts'
export { blobFiles } from './blob-files.ts'
