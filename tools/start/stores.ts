/** Where a profile keeps its state: files of its own, or servers that are started for it or named by whoever starts it. */
import { join } from 'node:path'

import type { DataLayout } from '@postbus/profile'

import type { StartOptions } from './options.ts'
import { localStores, type Plan, type Stores } from './plan.ts'
import { startPostgres } from './postgres.ts'
import { startS3 } from './s3.ts'
import type { Supervised, SupervisorEvents } from './supervisor.ts'

export interface StoresAround {
  dirs: DataLayout
  events: SupervisorEvents
  /** Called for each server as it is started; who started stops it. */
  started(server: Supervised): void
}

type Chosen = Pick<StartOptions, 'data' | 'profile' | 'postgres' | 'bytes'>

/** Resolves when the servers answer. @throws Missing */
export async function startStores(
  options: Chosen,
  layout: Pick<Plan, 'postgresPort' | 's3Port'>,
  around: StoresAround,
): Promise<Stores> {
  if (options.profile === 'embedded') return localStores(options.data)
  const url = await databaseOf(options, layout, around)
  return { ...(await bytesOf(options, layout, around, url)), database: () => url }
}

async function databaseOf(
  { data, postgres }: Chosen,
  { postgresPort }: Pick<Plan, 'postgresPort'>,
  { dirs, events, started }: StoresAround,
): Promise<string> {
  if (postgres !== null) return postgres
  if (postgresPort === null) throw new TypeError('no PostgreSQL was planned, and none was named')
  const logFile = join(dirs.logs, 'postgres.log')
  const { server, url } = await startPostgres({ port: postgresPort, data, events, keys: dirs.keys, logFile })
  started(server)
  return url
}

async function bytesOf(
  { data, bytes }: Chosen,
  { s3Port }: Pick<Plan, 's3Port'>,
  { dirs, events, started }: StoresAround,
  database: string,
): Promise<Omit<Stores, 'database'>> {
  if (bytes === 'files') return localStores(data)
  if (bytes === 'postgres') return { spool: database, blobs: database, settings: {} }
  if (bytes !== 's3') return { spool: `${bytes.bucket}/spool`, blobs: `${bytes.bucket}/blobs`, settings: {} }
  if (s3Port === null) throw new TypeError('no S3 server was planned, and none was named')
  const logFile = join(dirs.logs, 's3.log')
  const { server, location, settings } = await startS3({ port: s3Port, data, events, keys: dirs.keys, logFile })
  started(server)
  return { spool: `${location}/spool`, blobs: `${location}/blobs`, settings }
}
