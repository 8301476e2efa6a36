/** Removes what writers and keepers that died have left unfinished. Complete records are custody's. */
import type { Dirent } from 'node:fs'
import { opendir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'

import { QueueId } from '@postbus/contracts'
import { failedWith } from '@postbus/blobs/files'

import { listSegments } from './catalog.ts'
import { fileShards, type Layout, lockPath, recordPath } from './layout.ts'
import { isHeld, removeLock } from './lock.ts'
import { readFileHeader } from './record-file.ts'

const BYTES = /^([0-9A-Z]{26})\.([0-9a-f]{16})\.msg$/
const WRITERS_OWN = /^([0-9a-f]{16})-/
const LOCK = /^([0-9a-f]{16})\.lock$/

/** To be called in a keeper's turn: then what a keeper left unfinished has no owner. @returns how many were removed */
export async function sweepSpool(layout: Layout, olderThan: Date): Promise<number> {
  const dead = deadWriters(layout)
  let removed = 0
  for await (const path of oldEntries(layout.temporary, olderThan)) {
    const [, writer] = WRITERS_OWN.exec(path.name) ?? []
    if (writer !== undefined && !dead(writer)) continue
    await rm(path.path, { force: true })
    removed++
  }
  for (const shard of fileShards(layout)) {
    for await (const { name, path } of oldEntries(shard, olderThan)) {
      const [, id, writer] = BYTES.exec(name) ?? []
      if (id === undefined || writer === undefined || !dead(writer)) continue
      if (await belongsToRecord(layout, QueueId.parse(id), writer)) continue
      await rm(path, { force: true })
      removed++
    }
  }
  return removed + (await sweepSidecars(layout, olderThan)) + (await sweepLocks(layout, olderThan))
}

/** Index and tombstones of segments that are gone. */
async function sweepSidecars(layout: Layout, olderThan: Date): Promise<number> {
  let removed = 0
  for (const directory of [layout.index, layout.freed]) {
    for await (const { name, path } of oldEntries(directory, olderThan)) {
      const segment = name.replace(/\.idx$/, '')
      if (await exists(join(layout.segments, `${segment}.seg`))) continue
      await rm(path, { recursive: true, force: true })
      removed++
    }
  }
  return removed
}

/** Locks of dead writers; not counted, for a crash leaves one each time. */
async function sweepLocks(layout: Layout, olderThan: Date): Promise<0> {
  const writers = new Set((await listSegments(layout)).map(({ writer }) => writer))
  for await (const { name } of oldEntries(layout.writers, olderThan)) {
    const [, writer] = LOCK.exec(name) ?? []
    if (writer !== undefined && !writers.has(writer)) removeLock(lockPath(layout, writer))
  }
  return 0
}

function deadWriters(layout: Layout): (writer: string) => boolean {
  const known = new Map<string, boolean>()
  return (writer) => {
    const dead = known.get(writer) ?? !isHeld(lockPath(layout, writer))
    known.set(writer, dead)
    return dead
  }
}

async function belongsToRecord(layout: Layout, queueId: QueueId, writer: string): Promise<boolean> {
  const header = await readFileHeader(recordPath(layout, queueId))
  // A damaged record may be mended by hand; its bytes stay.
  return header === 'damaged' || (header !== 'missing' && header.apart && header.writer === writer)
}

async function* oldEntries(directory: string, olderThan: Date): AsyncGenerator<{ name: string; path: string }> {
  for await (const { name } of entriesOf(directory)) {
    const path = join(directory, name)
    const modifiedAt = await stat(path).then(
      ({ mtime }) => mtime,
      (cause: unknown) => {
        if (failedWith(cause, 'ENOENT')) return null
        throw cause
      },
    )
    if (modifiedAt !== null && modifiedAt < olderThan) yield { name, path }
  }
}

async function* entriesOf(directory: string): AsyncGenerator<Dirent> {
  yield* await opendir(directory)
}

async function exists(path: string): Promise<boolean> {
  return await stat(path).then(
    () => true,
    (cause: unknown) => {
      if (failedWith(cause, 'ENOENT')) return false
      throw cause
    },
  )
}
