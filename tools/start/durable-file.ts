/** Small files that must be whole or not there after a loss of power: a start must never find half a key. */
import { open, rename } from 'node:fs/promises'
import { dirname } from 'node:path'

import { syncDirectory } from '@postbus/blobs/files'

/** Replaces the file whole; only its owner may read it. Durable when it resolves. */
export async function writeDurably(path: string, content: string | Uint8Array): Promise<void> {
  const draft = `${path}.new`
  const file = await open(draft, 'w', 0o600)
  try {
    await file.writeFile(content)
    await file.sync()
  } finally {
    await file.close()
  }
  await rename(draft, path)
  await syncDirectory(dirname(path))
}
