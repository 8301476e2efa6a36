/** Where things are kept that a test brings along, removed with its process. */
import { rmSync } from 'node:fs'
import { mkdtemp, readdir, readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { withCrlf } from './samples.ts'

const directories: string[] = []
process.once('exit', () => {
  // A store that was just stopped may still be writing.
  for (const dir of directories) rmSync(dir, { recursive: true, force: true, maxRetries: 5 })
})

/** It is there until everything that a test started has been stopped, whatever the order in which a test asks for either. */
export async function directory(): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'postbus-client-'))
  directories.push(dir)
  return dir
}

/** What is in a folder of a Maildir: the flags of each message, and its bytes as they went over the wire. */
export async function maildir(folder: string): Promise<{ file: string; flags: string; bytes: Buffer }[]> {
  const found = []
  for (const half of ['cur', 'new']) {
    for (const name of await readdir(join(folder, half))) {
      const file = join(folder, half, name)
      found.push({ file, flags: /:2,(\w*)$/.exec(name)?.[1] ?? '', bytes: withCrlf(await readFile(file)) })
    }
  }
  return found
}
