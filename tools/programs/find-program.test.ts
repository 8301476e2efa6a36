import assert from 'node:assert/strict'
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'

import { findProgram } from './find-program.mjs'

async function directory(t: TestContext): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'postbus-programs-'))
  t.after(() => rm(dir, { recursive: true, force: true }))
  return dir
}

const says = (version: string): string => `#!/bin/sh\necho "tool v${version}"\n`

async function fetched(work: string): Promise<string> {
  const path = join(work, 'tool')
  await writeFile(path, says('2.1.0'))
  return path
}

const tool = { name: 'tool', minimum: '2.1.0', version: ['--version'] }

test('a program on PATH will do when it is new enough', async (t) => {
  const [dir, cache] = [await directory(t), await directory(t)]
  await writeFile(join(dir, 'tool'), says('2.10.0'), { mode: 0o755 })
  assert.equal(await findProgram({ ...tool, sources: [] }, { cache, env: { PATH: dir } }), join(dir, 'tool'))
})

test('one that is too old is passed by; what is fetched is kept, whole and once, however many ask at once', async (t) => {
  const [dir, cache] = [await directory(t), await directory(t)]
  await writeFile(join(dir, 'tool'), says('2.0.9'), { mode: 0o755 })
  const find = (sources: [string, (work: string) => Promise<string>][]): Promise<string> =>
    findProgram({ ...tool, sources }, { cache, env: { PATH: dir } })
  const paths = await Promise.all(Array.from({ length: 5 }, () => find([['test', fetched]])))
  assert.deepEqual([...new Set(paths)], [join(cache, 'tool')])
  assert.deepEqual(await readdir(cache), ['tool'])
  assert.equal(await find([]), join(cache, 'tool'))
})

test('when there is none, every place that was tried is named with its reason', async (t) => {
  const [dir, cache] = [await directory(t), await directory(t)]
  await writeFile(join(dir, 'tool'), says('1.0.0'), { mode: 0o755 })
  const broken = (): Promise<string> => Promise.reject(new Error('no way there'))
  await assert.rejects(
    findProgram({ ...tool, sources: [['mirror', broken]] }, { cache, env: { PATH: dir } }),
    /no tool 2\.1\.0 or later:\n.*\/tool: is v1\.0\.0\n.*\/tool: not there\n {2}mirror: no way there\nInstall one on PATH/,
  )
  assert.deepEqual(await readdir(cache), [])
})
