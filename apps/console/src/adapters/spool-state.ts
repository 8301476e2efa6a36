/** The spool as it is, every record's beginning read. */
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'

import { failedWith } from '@postbus/blobs/files'
import { openSpoolKeeper } from '@postbus/spool'

import type { SpoolState } from '../doctor/spool.ts'
import type { KeptBytes } from './kept-bytes.ts'

const DAY_MS = 24 * 3600_000

export async function spoolState({ spool, settings }: Pick<KeptBytes, 'spool' | 'settings'>): Promise<SpoolState> {
  const damaged: string[] = []
  const keeper = await openSpoolKeeper(spool, { settings, onDamage: (queueId) => void damaged.push(queueId) })
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
  return { records, oldestAt, damaged, unfinished: await unfinishedIn(join(spool, 'temporary')) }
}

/** What a bucket or a database has of them only custody's sweep sees. */
async function unfinishedIn(dir: string): Promise<number> {
  let count = 0
  const names = await readdir(dir).catch((cause: unknown) => {
    if (failedWith(cause, 'ENOENT')) return []
    throw cause
  })
  for (const name of names) {
    const modifiedAt = await stat(join(dir, name)).then(
      ({ mtimeMs }) => mtimeMs,
      () => Infinity, // Finished at this moment.
    )
    if (Date.now() - modifiedAt > DAY_MS) count++
  }
  return count
}
