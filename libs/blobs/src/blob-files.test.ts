import assert from 'node:assert/strict'
import { cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { test } from 'node:test'

import { blobFiles, localBlobs } from './index.ts'

test('the files of a store are a store: the same keys and octets, and nothing unfinished', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'postbus-blobs-'))
  t.after(() => rm(dir, { recursive: true, force: true }))
  const [from, to] = [join(dir, 'from'), join(dir, 'to')]
  assert.deepEqual(await Array.fromAsync(blobFiles(from)), [])
  const blobs = localBlobs(from)
  const keys = ['a', 'content/ab/one', 'content/ab/two', 'staged/x']
  for (const key of keys) {
    await blobs.put(
      key,
      (async function* () {
        yield Buffer.from(key)
      })(),
    )
  }
  await writeFile(join(from, 'tmp~~', 'half'), 'half')
  for await (const path of blobFiles(from)) {
    await mkdir(dirname(join(to, path)), { recursive: true })
    await cp(join(from, path), join(to, path))
  }
  const copy = localBlobs(to)
  const listed = (await Array.fromAsync(copy.list(''))).map(({ key }) => key).sort()
  assert.deepEqual(listed, keys)
  for (const key of keys) assert.equal(Buffer.concat(await Array.fromAsync(copy.read(key))).toString(), key)
  assert.equal((await Array.fromAsync(blobFiles(from))).length, keys.length)
})
