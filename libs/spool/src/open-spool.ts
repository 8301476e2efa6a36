/** One setting says where the spool is: a directory all processes of a machine share, or a bucket. */
import type { BytesSettings } from '@postbus/blobs'
import { isS3, s3Options } from '@postbus/s3'

import { openLocalKeeper, type LocalKeeperOptions } from './keeper.ts'
import { openLocalReader, type LocalReaderOptions } from './reader.ts'
import { s3Keeper } from './s3/keeper.ts'
import { s3Reader } from './s3/reader.ts'
import { S3RecordStore } from './s3/store.ts'
import type { SpoolKeeper, SpoolReader, SpoolWriter } from './spool.ts'
import { StoreWriter } from './store-writer.ts'
import { openLocalWriter } from './writer.ts'
import type { LocalWriterOptions } from './writer-options.ts'

/** For the setting of every service that opens one. */
export const spoolDescription =
  'Where the spool is, the same for all services: a directory that all of a machine share, or s3://bucket/prefix.'

/** Each kind of spool takes what concerns it; `settings` are needed by all but directories. */
interface Settings {
  settings?: BytesSettings
}

export type SpoolWriterOptions = Settings & LocalWriterOptions
export type SpoolReaderOptions = Settings & LocalReaderOptions
export type SpoolKeeperOptions = Settings & LocalKeeperOptions

/** @param location a directory, which is made where it is missing, or `s3://bucket/prefix` @throws TypeError */
export async function openSpoolWriter(location: string, options: SpoolWriterOptions): Promise<SpoolWriter> {
  if (!isS3(location)) return await openLocalWriter(location, options)
  const { onFlush, now = Date.now } = options
  return new StoreWriter(new S3RecordStore(location, s3Of(options), now), { ...(onFlush && { onFlush }) })
}

/** @param location as the writer's; a directory need not be there yet */
export function openSpoolReader(location: string, options: SpoolReaderOptions = {}): SpoolReader {
  return isS3(location) ? s3Reader(location, s3Of(options)) : openLocalReader(location, options)
}

/** @param location as the writer's */
export async function openSpoolKeeper(location: string, options: SpoolKeeperOptions = {}): Promise<SpoolKeeper> {
  const { onDamage = () => {} } = options
  return isS3(location) ? s3Keeper(location, s3Of(options), onDamage) : await openLocalKeeper(location, options)
}

function s3Of({ settings }: Settings): ReturnType<typeof s3Options> {
  if (!settings) throw new TypeError('a spool in S3 needs settings')
  return s3Options(settings)
}
