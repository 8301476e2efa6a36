/**
 * @postbus/spool — durable records of accepted messages, on a directory that all processes of a machine share.
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
export { openSpoolWriter } from './writer.ts'
export { defaultLimits, type SpoolWriterLimits, type SpoolWriterOptions } from './writer-options.ts'
export { openSpoolReader, type SpoolReaderOptions } from './reader.ts'
export { openSpoolKeeper, type SpoolKeeperOptions } from './keeper.ts'
export { spoolFiles, type SpoolFile, withoutFreeing } from './backup.ts'
