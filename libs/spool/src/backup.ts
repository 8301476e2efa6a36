/**
 * For a copy of a spool in use. Writers go on: what they append after it was copied is not in the copy, and a record cut in the middle
 * is what a crash leaves too. Keepers must not: a record that the books say is needed could be freed before it was copied.
 *
 * Indexes are not copied, a scan makes them again; nor is what is not finished, nor any lock.
 */
import { opendir, readdir } from 'node:fs/promises'
import { join, relative } from 'node:path'

import { failedWith } from '@postbus/blobs/files'

import { listSegments } from './catalog.ts'
import { fileShards, freedPath, layoutOf, segmentPath } from './layout.ts'
import { Turns } from './turns.ts'

/** A keeper's name is part of what it writes; this one writes nothing. */
const NOBODY = 'backup'

/**
 * Nothing is freed, moved or swept while `work` runs; custody waits, and tries again. @throws when a keeper is at it for too long
 */
export async function withoutFreeing<T>(dir: string, work: () => Promise<T>): Promise<T> {
  const turns = new Turns(layoutOf(dir), NOBODY)
  try {
    return await turns.take(work, async () => {})
  } finally {
    await turns.close()
  }
}

export interface SpoolFile {
  /** Below the spool's directory. */
  path: string
  /** Never changes while it is there; others grow. */
  final: boolean
}

/**
 * What belongs into a copy, in this order: tombstones before segments, so that none is for a record freed later; segments before
 * files, so that a record that is copied out meanwhile is there twice rather than never; a large record before its bytes, which
 * were there first.
 */
export async function* spoolFiles(dir: string): AsyncGenerator<SpoolFile> {
  const layout = layoutOf(dir)
  const segments = await listSegments(layout)
  for (const { name } of segments) {
    const freed = freedPath(layout, name)
    for (const file of await namesIn(freed)) yield { path: relative(dir, join(freed, file)), final: false }
  }
  for (const { name } of await listSegments(layout)) {
    yield { path: relative(dir, segmentPath(layout, name)), final: false }
  }
  for (const ending of ['.rec', '.msg']) {
    for (const shard of fileShards(layout)) {
      for await (const name of entriesOf(shard)) {
        if (name.endsWith(ending)) yield { path: relative(dir, join(shard, name)), final: true }
      }
    }
  }
}

async function namesIn(directory: string): Promise<string[]> {
  return await readdir(directory).catch((cause: unknown) => {
    if (failedWith(cause, 'ENOENT')) return []
    throw cause
  })
}

async function* entriesOf(directory: string): AsyncGenerator<string> {
  try {
    for await (const { name } of await opendir(directory)) yield name
  } catch (cause) {
    if (!failedWith(cause, 'ENOENT')) throw cause
  }
}
