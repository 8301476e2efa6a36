/** @postbus/blobs — message bytes under keys, in a directory, in S3 or in PostgreSQL; one contract suite for all (`@postbus/blobs/contract`). */
export {
  BlobExists,
  type Blobs,
  type BlobStore,
  BlobTooLarge,
  type BytesPlace,
  InvalidBlobKey,
  NoSuchBlob,
} from './blobs.ts'
export { localBlobs } from './local-blobs.ts'
export {
  type BlobsAt,
  blobsDescription,
  bytesDatabase,
  type BytesSettings,
  bytesSettings,
  bytesSettingsIn,
  isPath,
  openBlobs,
} from './open-blobs.ts'
export { blobFiles } from './blob-files.ts'
