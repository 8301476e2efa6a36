/** Where a client keeps its things, removed with the test. */
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'

import { withCrlf } from './samples.ts'

export async function directory(t: TestContext): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'postbus-client-'))
  t.after(() => rm(dir, { recursive: true, force: true }))
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
