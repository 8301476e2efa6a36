/** Where a profile keeps its state: files of its own, or servers that are started for it or named by whoever starts it. */
import type { DataLayout } from '@postbus/profile'

import type { StartOptions } from './options.ts'
import { localStores, type Plan, type Stores } from './plan.ts'
import { startPostgres } from './postgres.ts'
import type { Supervised, SupervisorEvents } from './supervisor.ts'

export interface StoresAround {
  dirs: DataLayout
  events: SupervisorEvents
  /** Called for each server as it is started; who started stops it. */
  started(server: Supervised): void
}

/** Resolves when the servers answer. @throws PostgresMissing */
export async function startStores(
  { data, profile, postgres }: Pick<StartOptions, 'data' | 'profile' | 'postgres' | 'bytes'>,
  { postgresPort }: Pick<Plan, 'postgresPort'>,
  { dirs, events, started }: StoresAround,
): Promise<Stores> {
  const local = localStores(data)
  if (profile === 'embedded') return local
  let url = postgres
  if (url === null && postgresPort !== null) {
    const own = await startPostgres({
      ...{ port: postgresPort, data, events, keys: dirs.keys },
      logFile: `${dirs.logs}/postgres.log`,
    })
    started(own.server)
    url = own.url
  }
  return { ...local, ...(url !== null && { database: () => url }) }
}
