/** The spool as it is on disk, every record's beginning read. */
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'

import { openSpoolKeeper } from '@postbus/spool'

import type { SpoolState } from '../doctor/spool.ts'

const DAY_MS = 24 * 3600_000

export async function spoolState(dir: string): Promise<SpoolState> {
  const damaged: string[] = []
  const keeper = await openSpoolKeeper(dir, { onDamage: (queueId) => void damaged.push(queueId) })
  let records = 0
  let oldestAt: number | null = null
  try {
    for await (const { writtenAt } of keeper.list()) {
      records++
      oldestAt = Math.min(oldestAt ?? Infinity, writtenAt.getTime())
    }
  } finally {
    await keeper.close()
  }
  return { records, oldestAt, damaged, unfinished: await unfinishedIn(join(dir, 'temporary')) }
}

async function unfinishedIn(dir: string): Promise<number> {
  let count = 0
  for (const name of await readdir(dir)) {
    const modifiedAt = await stat(join(dir, name)).then(
      ({ mtimeMs }) => mtimeMs,
      () => Infinity, // Finished at this moment.
    )
    if (Date.now() - modifiedAt > DAY_MS) count++
  }
  return count
}
