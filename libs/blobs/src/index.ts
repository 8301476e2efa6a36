/** @postbus/blobs — message bytes under keys: local files now, S3 and PostgreSQL by the same contract. */
export * from './blobs.ts'
