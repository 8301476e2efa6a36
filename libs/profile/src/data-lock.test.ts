import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'

import { DataDirectoryInUse, lockDataDirectory } from './data-lock.ts'

async function directory(t: TestContext): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'postbus-lock-'))
  t.after(() => rm(dir, { recursive: true }))
  return dir
}

test('a directory whose holder is alive is refused', async (t) => {
  const dir = await directory(t)
  await writeFile(join(dir, 'postbus.lock'), `1 ${await startedAt(1)}`)
  await assert.rejects(lockDataDirectory(dir), DataDirectoryInUse)
})

test('a lock left by a dead process, or by one whose pid is another now, is taken over', async (t) => {
  const dir = await directory(t)
  for (const left of ['99999999 12345', '1 98765432109']) {
    await writeFile(join(dir, 'postbus.lock'), left)
    const unlock = await lockDataDirectory(dir)
    await unlock()
  }
})

async function startedAt(pid: number): Promise<string> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8')
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? ''
}
