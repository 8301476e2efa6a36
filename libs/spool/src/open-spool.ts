/**
 * One setting says where the spool is: a directory all processes of a machine share, a bucket, or a database. Drivers are loaded when it
 * is there: for a database alone they are 250 modules.
 */
import { bytesDatabase, type BytesSettings } from '@postbus/blobs'
import { isS3, s3Options } from '@postbus/s3/settings'
import { isPostgres } from '@postbus/sql/settings'

import { openLocalKeeper, type LocalKeeperOptions } from './keeper.ts'
import { openLocalReader, type LocalReaderOptions } from './reader.ts'
import type { SpoolKeeper, SpoolReader, SpoolWriter } from './spool.ts'
import { StoreWriter } from './store-writer.ts'
import { openLocalWriter } from './writer.ts'
import type { LocalWriterOptions } from './writer-options.ts'

/** For the setting of every service that opens one. */
export const spoolDescription =
  'Where the spool is, the same for all services: a directory that all of a machine share, s3://bucket/prefix, or postgres://user:password@host:port/database.'

/** Each kind of spool takes what concerns it; `settings` are needed by all but directories. */
interface Settings {
  settings?: BytesSettings
}

export type SpoolWriterOptions = Settings & LocalWriterOptions
export type SpoolReaderOptions = Settings & LocalReaderOptions
export type SpoolKeeperOptions = Settings & LocalKeeperOptions

/**
 * @param location a directory, which is made where it is missing, `s3://bucket/prefix`, or `postgres://user:password@host:port/database`
 * @throws TypeError
 */
export async function openSpoolWriter(location: string, options: SpoolWriterOptions): Promise<SpoolWriter> {
  const { now = Date.now, onFlush } = options
  const ports = { now, ...(onFlush && { onFlush }) }
  if (isS3(location)) {
    const { S3RecordStore } = await import('./s3/store.ts')
    return new StoreWriter(new S3RecordStore(location, s3Options(settingsOf(options)), ports))
  }
  if (isPostgres(location)) {
    const { PostgresRecordStore } = await import('./postgres/store.ts')
    return new StoreWriter(new PostgresRecordStore(location, bytesDatabase(settingsOf(options)), ports))
  }
  return await openLocalWriter(location, options)
}

/** @param location as the writer's; a directory need not be there yet */
export async function openSpoolReader(location: string, options: SpoolReaderOptions = {}): Promise<SpoolReader> {
  if (isS3(location)) return (await import('./s3/reader.ts')).s3Reader(location, s3Options(settingsOf(options)))
  if (isPostgres(location)) {
    const { postgresReader } = await import('./postgres/reader.ts')
    return postgresReader(location, bytesDatabase(settingsOf(options)))
  }
  return openLocalReader(location, options)
}

/** @param location as the writer's */
export async function openSpoolKeeper(location: string, options: SpoolKeeperOptions = {}): Promise<SpoolKeeper> {
  const { onDamage = () => {} } = options
  if (isS3(location)) {
    return (await import('./s3/keeper.ts')).s3Keeper(location, s3Options(settingsOf(options)), onDamage)
  }
  if (isPostgres(location)) {
    const { postgresKeeper } = await import('./postgres/keeper.ts')
    return postgresKeeper(location, bytesDatabase(settingsOf(options)), onDamage)
  }
  return await openLocalKeeper(location, options)
}

function settingsOf({ settings }: Settings): BytesSettings {
  if (!settings) throw new TypeError('a spool in S3 or PostgreSQL needs settings')
  return settings
}
