/**
 * @postbus/spool — durable records of accepted messages: in a directory that all processes of a machine share, in S3, or in PostgreSQL.
 *
 * Intake opens a writer, router, delivery and mailstore a reader, custody a keeper.
 */
export {
  CorruptRecord,
  NoSuchRecord,
  SpoolFull,
  type SpoolKeeper,
  type SpoolReader,
  type SpoolRecord,
  type SpoolWriter,
} from './spool.ts'
export { type Disk, type DiskFile, localDisk } from './disk.ts'
export {
  openSpoolKeeper,
  openSpoolReader,
  openSpoolWriter,
  spoolDescription,
  type SpoolKeeperOptions,
  type SpoolReaderOptions,
  type SpoolWriterOptions,
} from './open-spool.ts'
export { defaultLimits, type SpoolWriterLimits } from './writer-options.ts'
export { spoolFiles, type SpoolFile, withoutFreeing } from './backup.ts'
