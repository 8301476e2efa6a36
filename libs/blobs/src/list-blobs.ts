/** Walks the store's directories one entry at a time, so that a listing of millions needs no memory. */
import type { Dirent } from 'node:fs'
import { opendir, stat } from 'node:fs/promises'
import { join } from 'node:path'

import { failedWith } from './files.ts'
import { directoryKind, directoryOf, prefixPath } from './key-path.ts'

interface Listed {
  key: string
  size: number
  modifiedAt: Date
}

export async function* listBlobs(dir: string, prefix: string): AsyncGenerator<Listed> {
  const { levels, begin } = prefixPath(prefix)
  yield* walk(join(dir, directoryOf(levels)), levels.map((level) => `${level}/`).join(''), begin)
}

/** @param before what the keys below this directory begin with */
async function* walk(directory: string, before: string, begin: string): AsyncGenerator<Listed> {
  for await (const entry of entries(directory)) {
    const path = join(directory, entry.name)
    if (entry.isFile()) {
      const facts = entry.name.startsWith(begin) ? await factsOf(path) : null
      if (facts) yield { key: before + entry.name, ...facts }
      continue
    }
    const below = directoryKind(entry.name)
    if (below.kind === 'shard') yield* walk(path, before, begin)
    if (below.kind === 'level' && below.level.startsWith(begin)) yield* walk(path, `${before}${below.level}/`, '')
  }
}

async function* entries(directory: string): AsyncGenerator<Dirent> {
  try {
    yield* await opendir(directory)
  } catch (cause) {
    if (!failedWith(cause, 'ENOENT')) throw cause
  }
}

/** Null when the blob was deleted at this moment. */
async function factsOf(path: string): Promise<Omit<Listed, 'key'> | null> {
  try {
    const { size, mtime } = await stat(path)
    return { size, modifiedAt: mtime }
  } catch (cause) {
    if (failedWith(cause, 'ENOENT')) return null
    throw cause
  }
}
