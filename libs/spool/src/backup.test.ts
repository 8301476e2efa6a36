import assert from 'node:assert/strict'
import { cp, mkdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { test } from 'node:test'

import { acceptedAs, bytesOf, contentOf, queueIds, whole } from '../test/samples.ts'
import { temporaryDirectory } from '../test/temporary.ts'
import { openSpoolKeeper, openSpoolReader, openSpoolWriter, spoolFiles, withoutFreeing } from './index.ts'

test('what is listed is a spool: everything not freed can be read from a copy of it, and nothing that was freed', async (t) => {
  const [dir, copy] = [await temporaryDirectory(t), await temporaryDirectory(t)]
  const writer = await openSpoolWriter(dir, { writerName: 'test' })
  const keeper = await openSpoolKeeper(dir)
  t.after(() => Promise.all([writer.close(), keeper.close()]))
  const nextId = queueIds()
  const sizes = [300, 400_000, 500, 400_000, 700]
  const ids = sizes.map(() => nextId())
  for (const [index, queueId] of ids.entries()) {
    const content = contentOf(queueId, sizes[index] ?? 0)
    await writer.put(queueId, bytesOf(content), (octets) => acceptedAs(queueId, octets))
  }
  await keeper.free([ids[0], ids[1]].filter((id) => id !== undefined))
  const order: string[] = []
  await withoutFreeing(dir, async () => {
    for await (const { path, final } of spoolFiles(dir)) {
      order.push(path.split('/')[0] === 'files' ? path.slice(-4) : (path.split('/')[0] ?? ''))
      assert.equal(final, path.startsWith('files/'))
      await mkdir(dirname(join(copy, path)), { recursive: true })
      await cp(join(dir, path), join(copy, path))
    }
  })
  assert.deepEqual(order, ['freed', 'segments', '.rec', '.msg'])

  const copied = await openSpoolKeeper(copy)
  const reader = await openSpoolReader(copy)
  t.after(() => Promise.all([copied.close(), reader.close()]))
  const listed = (await Array.fromAsync(copied.list())).map(({ accepted }) => accepted.queueId)
  assert.deepEqual(new Set(listed), new Set(ids.slice(2)))
  for (const [index, queueId] of ids.entries()) {
    if (index < 2) continue
    const record = await reader.open(queueId)
    assert.ok((await whole(record.read())).equals(contentOf(queueId, sizes[index] ?? 0)))
    await record.close()
  }
})

test('while a copy is made nothing is freed; what waits is freed after it', async (t) => {
  const dir = await temporaryDirectory(t)
  const writer = await openSpoolWriter(dir, { writerName: 'test' })
  const keeper = await openSpoolKeeper(dir)
  t.after(() => Promise.all([writer.close(), keeper.close()]))
  const queueId = queueIds()()
  await writer.put(queueId, bytesOf('a message'), (octets) => acceptedAs(queueId, octets))
  let freed = false
  const { freeing } = await withoutFreeing(dir, async () => {
    const waits = keeper.free([queueId]).then(() => (freed = true))
    // Writers go on meanwhile.
    for (let index = 0; index < 5; index++) {
      const other = queueIds()()
      await writer.put(other, bytesOf('another'), (octets) => acceptedAs(other, octets))
    }
    assert.equal(freed, false)
    assert.equal(
      (await Array.fromAsync(keeper.list())).some(({ accepted }) => accepted.queueId === queueId),
      true,
    )
    return { freeing: waits }
  })
  await freeing
  assert.equal(
    (await Array.fromAsync(keeper.list())).some(({ accepted }) => accepted.queueId === queueId),
    false,
  )
})
