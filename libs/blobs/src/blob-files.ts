/** The files a store of local blobs consists of, for a copy of it: every finished blob. A file never changes while it is there. */
import { opendir } from 'node:fs/promises'
import { join } from 'node:path'

import { failedWith } from './files.ts'
import { TEMPORARY } from './key-path.ts'

/** Paths below the store's directory, in no order. Blobs put or deleted meanwhile may be missing or there. */
export async function* blobFiles(dir: string, below = ''): AsyncGenerator<string> {
  try {
    for await (const entry of await opendir(join(dir, below))) {
      const path = join(below, entry.name)
      if (entry.isFile()) yield path
      else if (entry.isDirectory() && entry.name !== TEMPORARY) yield* blobFiles(dir, path)
    }
  } catch (cause) {
    if (!failedWith(cause, 'ENOENT')) throw cause
  }
}
