import assert from 'node:assert/strict'
import { link, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'

import { isAvailable, keptAfterPowerLoss } from '@postbus/testkit/power-loss'

import { localBlobs } from './local-blobs.ts'

const skip = isAvailable() ? false : 'needs root, /dev/fuse and libfuse3'
const ROUNDS = 8

async function* text(content: string): AsyncGenerator<Uint8Array> {
  yield Buffer.from(content)
}

async function has(store: string, key: string, content: string): Promise<void> {
  const pieces = await Array.fromAsync(localBlobs(store).read(key))
  assert.equal(String(Buffer.concat(pieces)), content)
}

test(
  'a blob that was put is there after a loss of power, also beside others in a new directory',
  { skip },
  async (t) => {
    await keptAfterPowerLoss(t, async (dir, durable) => {
      // Two processes that share the store.
      const stores = [localBlobs(join(dir, 'blobs')), localBlobs(join(dir, 'blobs'))]
      for (let round = 0; round < ROUNDS; round++) {
        await Promise.all(
          [0, 1, 2, 3].map(async (number) => {
            const key = `content/${round}/${number}`
            await stores[number % 2]?.put(key, text(key))
            durable((tree) => has(join(tree, 'blobs'), key, key))
          }),
        )
      }
    })
  },
)

test('a directory that an earlier process made and did not flush loses no blob', { skip }, async (t) => {
  await keptAfterPowerLoss(t, async (dir, durable) => {
    // Killed between this and its flush.
    await mkdir(join(dir, 'blobs', 'a~', 'b~'), { recursive: true })
    await localBlobs(join(dir, 'blobs')).put('a/b/1', text('1'))
    durable((tree) => has(join(tree, 'blobs'), 'a/b/1', '1'))
  })
})

test(
  'a link and an adopted file are there after a loss of power, whatever became of the first name',
  { skip },
  async (t) => {
    await keptAfterPowerLoss(t, async (dir, durable) => {
      const blobs = localBlobs(join(dir, 'blobs'))
      await blobs.put('staged/1', text('linked'), { durable: false })
      await blobs.link('staged/1', 'content/1')
      durable((tree) => has(join(tree, 'blobs'), 'content/1', 'linked'))
      await writeFile(join(dir, 'record'), 'adopted')
      assert.ok(await blobs.adopt('content/2', { kind: 'file', path: join(dir, 'record') }))
      durable((tree) => has(join(tree, 'blobs'), 'content/2', 'adopted'))
      // As a run leaves it that died between the link and its flush.
      await writeFile(join(dir, 'other'), 'again')
      await link(join(dir, 'other'), join(dir, 'blobs', 'content~', '3'))
      assert.ok(await blobs.adopt('content/3', { kind: 'file', path: join(dir, 'other') }))
      durable((tree) => has(join(tree, 'blobs'), 'content/3', 'again'))
    })
  },
)
