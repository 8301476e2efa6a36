/** Opens what `postbus migrate cluster` moves, and where to. */
import { bytesDatabase, bytesSettingsIn, openBlobs } from '@postbus/blobs'
import { databasePath, layoutOf, lockDataDirectory } from '@postbus/profile'
import { openSpoolKeeper, openSpoolReader, openSpoolWriter } from '@postbus/spool'
import { CannotMove, isPostgres, openPostgres, openSqlite } from '@postbus/sql'
import { z } from 'zod'

import { type MovedPlatform, movePlatform, type Owner } from '../migrate/move-platform.ts'

const server = z.string().refine(isPostgres, { error: 'must be postgres://user:password@host:port/database' })

const Target = z.object({
  DIRECTORY_DATABASE: server,
  MAILSTORE_DATABASE: server,
  CUSTODY_DATABASE: server,
  DELIVERY_DATABASE: server,
  SPOOL: z.string().min(1),
  BLOBS: z.string().min(1),
})

function targetIn(env: Move['env']): z.infer<typeof Target> {
  const { data, error } = Target.safeParse(env)
  if (data !== undefined) return data
  const names = [...new Set(error.issues.map(({ path }) => String(path[0])))]
  const missing = names.filter((name) => !env[name])
  if (missing.length > 0) throw new CannotMove(`say where the cluster keeps what it has: ${missing.join(', ')} not set`)
  throw new CannotMove(`${names.join(', ')} must be postgres://user:password@host:port/database`)
}

export interface Move {
  data: string
  /** The settings of the cluster's services. */
  env: Record<string, string | undefined>
  progress(text: string): void
}

/** @throws DataDirectoryInUse, CannotMove, and what stores throw; may be called again after the last two */
export async function moveToCluster({ data, env, progress }: Move): Promise<MovedPlatform> {
  const target = targetIn(env)
  const settings = bytesSettingsIn(env)
  const layout = layoutOf(data)
  const unlock = await lockDataDirectory(data)
  const closes: (() => Promise<void>)[] = [unlock]
  const opened = <Thing extends { close(): Promise<void> }>(thing: Thing): Thing => {
    closes.push(() => thing.close())
    return thing
  }
  const source = (owner: Owner) => opened(openSqlite<unknown>(databasePath(layout, owner), { readOnly: true }))
  const destination = (owner: Owner, url: string) =>
    opened(openPostgres<unknown>(url, { schema: owner, ...bytesDatabase(settings), connections: 2 }))
  try {
    return await movePlatform(
      {
        databases: {
          directory: source('directory'),
          mailstore: source('mailstore'),
          custody: source('custody'),
          delivery: source('delivery'),
        },
        keeper: opened(await openSpoolKeeper(layout.spool)),
        reader: opened(await openSpoolReader(layout.spool)),
        blobs: opened(await openBlobs(layout.blobs)),
      },
      {
        databases: {
          directory: destination('directory', target.DIRECTORY_DATABASE),
          mailstore: destination('mailstore', target.MAILSTORE_DATABASE),
          custody: destination('custody', target.CUSTODY_DATABASE),
          delivery: destination('delivery', target.DELIVERY_DATABASE),
        },
        writer: opened(await openSpoolWriter(target.SPOOL, { writerName: 'migrate', settings })),
        blobs: opened(await openBlobs(target.BLOBS, settings)),
      },
      progress,
    )
  } finally {
    for (const close of closes.toReversed()) await close()
  }
}
