/** How records are found among many segments, and how segments come and go. */
import assert from 'node:assert/strict'
import { open as openFile, readdir, symlink, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'

import { QueueId } from '@postbus/contracts'

import { acceptedAs, bytesOf, contentOf, queueIds, whole } from '../test/samples.ts'
import { temporaryDirectory } from '../test/temporary.ts'
import {
  CorruptRecord,
  NoSuchRecord,
  openSpoolKeeper,
  openSpoolReader,
  openSpoolWriter,
  type SpoolReader,
  type SpoolWriter,
} from './index.ts'
import { locate } from './locate.ts'
import { Catalog } from './catalog.ts'
import { layoutOf, parseSegmentName } from './layout.ts'
import { Segment, SegmentGone } from './segment.ts'

const nextId = queueIds()
const inAnHour = (): Date => new Date(Date.now() + 3600_000)

async function put(writer: SpoolWriter, size = 100, queueId = nextId()): Promise<QueueId> {
  await writer.put(queueId, bytesOf(contentOf(queueId, size)), (octets) => acceptedAs(queueId, octets))
  return queueId
}

async function assertReadable(reader: SpoolReader, queueId: QueueId, size = 100): Promise<void> {
  const record = await reader.open(queueId)
  assert.ok((await whole(record.read())).equals(contentOf(queueId, size)))
  await record.close()
}

async function directory(t: TestContext) {
  const dir = await temporaryDirectory(t)
  const segments = (): Promise<string[]> => readdir(join(dir, 'segments'))
  return { dir, segments }
}

test('a segment ends at its size, and every record is found among many segments with little memory', async (t) => {
  const { dir, segments } = await directory(t)
  const writers = await Promise.all(
    ['a', 'b', 'c'].map((writerName) => openSpoolWriter(dir, { writerName, segmentMaxBytes: 5000 })),
  )
  const reader = await openSpoolReader(dir, { maxPlaces: 10 })
  t.after(() => Promise.all([...writers.map((writer) => writer.close()), reader.close()]))
  const ids: QueueId[] = []
  for (let round = 0; round < 60; round++) ids.push(...(await Promise.all(writers.map((writer) => put(writer)))))
  assert.ok((await segments()).length > 9, `${(await segments()).length} segments`)
  for (const id of ids) await assertReadable(reader, id)
})

test('a segment ends at its age, also when nothing more comes', { timeout: 60_000 }, async (t) => {
  const { dir, segments } = await directory(t)
  t.mock.timers.enable({ apis: ['setInterval'] })
  const writer = await openSpoolWriter(dir, { writerName: 'test', segmentMaxAgeMs: 1 })
  const keeper = await openSpoolKeeper(dir)
  t.after(() => Promise.all([writer.close(), keeper.close()]))
  const id = await put(writer)
  await keeper.free([id])
  assert.deepEqual(await keeper.compact(inAnHour()), { copied: 0, segmentsRemoved: 0 }, 'its writer lives')
  t.mock.timers.tick(10_000)
  while ((await segments()).length > 0) await keeper.compact(inAnHour())
})

test('ids whose time is not now are found all the same', async (t) => {
  const { dir } = await directory(t)
  const writer = await openSpoolWriter(dir, { writerName: 'test' })
  const reader = await openSpoolReader(dir)
  t.after(() => Promise.all([writer.close(), reader.close()]))
  const minute = 60_000
  const times = [0, Date.now() - 60 * minute, Date.now() - 14 * minute, Date.now() + 10 * minute, 2 ** 48 - 1]
  const ids = [...times.map((time) => queueIds(time)()), QueueId.parse('Z'.repeat(26))]
  for (const id of ids) {
    await put(writer, 100, id)
    await put(writer)
    await assertReadable(reader, id)
  }
})

test('a clock that is set back or forth in the middle loses nothing', async (t) => {
  const { dir } = await directory(t)
  let clock = Date.now()
  const writer = await openSpoolWriter(dir, { writerName: 'test', now: () => clock })
  const reader = await openSpoolReader(dir)
  const keeper = await openSpoolKeeper(dir)
  t.after(() => Promise.all([writer.close(), reader.close(), keeper.close()]))
  const ids = []
  for (const jump of [0, -3600_000, 7200_000, 10 * 60_000, -30 * 60_000, 86_400_000]) {
    clock += jump
    for (let n = 0; n < 3; n++) ids.push(await put(writer, 100, queueIds(clock + n)()))
  }
  for (const id of ids) await assertReadable(reader, id)
  await keeper.free(ids)
  assert.deepEqual(await Array.fromAsync(keeper.list()), [])
})

test('a record of a segment that is known is found without looking at the directory', async (t) => {
  const { dir } = await directory(t)
  const writer = await openSpoolWriter(dir, { writerName: 'test' })
  const catalog = new Catalog(layoutOf(dir), { maxPlaces: 1000 })
  t.after(() => Promise.all([writer.close(), catalog.close()]))
  const first = await put(writer)
  assert.equal(await locate(catalog, first), null)
  await catalog.refresh()
  t.mock.method(catalog, 'refresh', () => assert.fail('looked at the directory'))
  for (const id of [first, await put(writer), await put(writer)]) assert.ok(await locate(catalog, id))
})

test('damage is told, never guessed, and does not hide other records', async (t) => {
  const { dir, segments } = await directory(t)
  const writer = await openSpoolWriter(dir, { writerName: 'test' })
  const ids = [await put(writer, 1000), await put(writer, 1000), await put(writer, 1000), await put(writer, 500_000)]
  await writer.close()
  const [first, second, third, large] = ids
  assert.ok(first && second && third && large)
  const [name = ''] = await segments()
  await overwrite(join(dir, 'segments', name), 400) // in the bytes of the first
  const recordBytes =
    (await openFile(join(dir, 'segments', name)).then(async (file) => {
      const { size } = await file.stat()
      await file.close()
      return size
    })) / 3
  await overwrite(join(dir, 'segments', name), Math.floor(recordBytes) + 100) // in the envelope of the second
  const [msg = ''] = (await readdir(join(dir, 'files', large.slice(-1)))).filter((file) => file.endsWith('.msg'))
  await overwrite(join(dir, 'files', large.slice(-1), msg), 490_000)

  for (const indexed of [true, false]) {
    if (!indexed) for (const index of await readdir(join(dir, 'index'))) await unlink(join(dir, 'index', index))
    const reader = await openSpoolReader(dir)
    const damaged = await reader.open(first)
    assert.equal((await whole(damaged.read({ start: 900, end: 1000 }))).length, 100)
    await assert.rejects(whole(damaged.read()), CorruptRecord)
    const withoutEnvelope = await reader.open(second)
    assert.throws(() => withoutEnvelope.accepted, CorruptRecord)
    assert.equal((await whole(withoutEnvelope.read())).length, 1000)
    await assertReadable(reader, third, 1000)
    const largeRecord = await reader.open(large)
    let read = 0
    await assert.rejects(async () => {
      for await (const piece of largeRecord.read()) read += piece.length
    }, CorruptRecord)
    assert.ok(read < 500_000, 'the last piece is kept back')
    await largeRecord.close()
    await reader.close()
  }

  const told: QueueId[] = []
  const keeper = await openSpoolKeeper(dir, { onDamage: (queueId) => told.push(queueId) })
  t.after(() => keeper.close())
  assert.equal((await Array.fromAsync(keeper.list())).length, 3)
  assert.deepEqual(told, [second])
  await keeper.free([third, second])
  assert.deepEqual(await keeper.compact(inAnHour()), { copied: 0, segmentsRemoved: 0 }, 'a damaged record is not moved')
  assert.deepEqual(told, [second, first])
  await keeper.free([first])
  assert.deepEqual(await segments(), [])
})

test('a large record without its bytes is damaged, one that was freed is not there', async (t) => {
  const { dir } = await directory(t)
  const writer = await openSpoolWriter(dir, { writerName: 'test' })
  const reader = await openSpoolReader(dir)
  t.after(() => Promise.all([writer.close(), reader.close()]))
  const id = await put(writer, 300_000)
  const shard = join(dir, 'files', id.slice(-1))
  for (const name of await readdir(shard)) if (name.endsWith('.msg')) await unlink(join(shard, name))
  await assert.rejects(reader.open(id), CorruptRecord)
  for (const name of await readdir(shard)) await unlink(join(shard, name))
  await assert.rejects(reader.open(id), NoSuchRecord)
})

test('readers never miss a record while it is copied out of its segment', async (t) => {
  const { dir, segments } = await directory(t)
  const keeper = await openSpoolKeeper(dir)
  const readers = [await openSpoolReader(dir), await openSpoolReader(dir, { maxPlaces: 1 })]
  t.after(() => Promise.all([keeper.close(), ...readers.map((reader) => reader.close())]))
  const waiting: QueueId[] = []
  for (let segment = 0; segment < 8; segment++) {
    const writer = await openSpoolWriter(dir, { writerName: 'test' })
    const ids = await Promise.all(Array.from({ length: 40 }, () => put(writer)))
    await writer.close()
    waiting.push(...ids.slice(0, 10))
    await keeper.free(ids.slice(10))
  }
  let compacting = true
  let reads = 0
  const reading = readers.map(async (reader, n) => {
    while (compacting || reads < 200) {
      await assertReadable(reader, waiting[(reads++ * (n + 3)) % waiting.length] ?? nextId())
      // Records so new are read without waiting: nobody else would ever have a turn.
      await new Promise((resolve) => setImmediate(resolve))
    }
  })
  const compacted = await keeper.compact(inAnHour())
  compacting = false
  await Promise.all(reading)
  assert.deepEqual(compacted, { copied: 80, segmentsRemoved: 8 })
  assert.deepEqual(await segments(), [])
  for (const id of waiting) for (const reader of readers) await assertReadable(reader, id)
})

test('tombstones that go away while they are read are no error: their segment went before', async (t) => {
  const { dir, segments } = await directory(t)
  const keeper = await openSpoolKeeper(dir)
  const writer = await openSpoolWriter(dir, { writerName: 'test' })
  t.after(() => Promise.all([keeper.close(), writer.close()]))
  const ids = await Promise.all(Array.from({ length: 3 }, () => put(writer)))
  await keeper.free(ids.slice(0, 1))
  // What a reader finds that has the names of a directory which another keeper is taking away.
  const [segment = ''] = await segments()
  await symlink('nowhere', join(dir, 'freed', segment.replace(/\.seg$/, ''), 'gone-0.freed'))
  const lister = await openSpoolKeeper(dir)
  t.after(() => lister.close())
  const listed = await Array.fromAsync(lister.list(), ({ accepted }) => accepted.queueId)
  assert.deepEqual(listed.toSorted(), ids.slice(1).toSorted())
})

test('a segment that was taken away does not stand, however long its file is open', async (t) => {
  const { dir, segments } = await directory(t)
  const writer = await openSpoolWriter(dir, { writerName: 'test' })
  await put(writer)
  const [file = ''] = await segments()
  const name = parseSegmentName(file)
  assert.ok(name)
  const segment = new Segment(layoutOf(dir), name)
  t.after(() => Promise.all([segment.close(), writer.close()]))
  await segment.scan()
  await segment.mustStand()
  await unlink(join(dir, 'segments', file))
  await assert.rejects(segment.mustStand(), SegmentGone)
})

test('a segment that is mostly needed stays, for copying it would give little back', async (t) => {
  const { dir, segments } = await directory(t)
  const writer = await openSpoolWriter(dir, { writerName: 'test' })
  const ids = await Promise.all(Array.from({ length: 10 }, () => put(writer)))
  await writer.close()
  const keeper = await openSpoolKeeper(dir)
  t.after(() => keeper.close())
  await keeper.free(ids.slice(0, 4))
  assert.deepEqual(await keeper.compact(inAnHour()), { copied: 0, segmentsRemoved: 0 })
  assert.deepEqual(await keeper.compact(new Date(Date.now() - 3600_000)), { copied: 0, segmentsRemoved: 0 })
  assert.equal((await segments()).length, 1)
})

test('two keepers at once free and compact as one', async (t) => {
  const { dir, segments } = await directory(t)
  const writer = await openSpoolWriter(dir, { writerName: 'test', segmentMaxBytes: 10_000 })
  const ids: QueueId[] = []
  for (let n = 0; n < 10; n++) ids.push(...(await Promise.all(Array.from({ length: 20 }, () => put(writer)))))
  await writer.close()
  const keepers = await Promise.all([openSpoolKeeper(dir), openSpoolKeeper(dir)])
  t.after(() => Promise.all(keepers.map((keeper) => keeper.close())))
  const waiting = ids.slice(0, 20)
  await Promise.all(
    ids.slice(20).map(async (id, n) => {
      const keeper = keepers[n % 2 === 0 ? 0 : 1]
      if (n % 30 === 0) await keeper.compact(inAnHour())
      await keeper.free([id])
    }),
  )
  for (const keeper of keepers) {
    const listed = (await Array.fromAsync(keeper.list())).map(({ accepted }) => accepted.queueId)
    assert.deepEqual(listed.toSorted(), waiting.toSorted())
  }
  await Promise.all(keepers.map((keeper) => keeper.free(waiting)))
  for (const keeper of keepers) assert.deepEqual(await Array.fromAsync(keeper.list()), [])
  assert.deepEqual(await segments(), [])
})

test('a copy that a crash left beside its segment goes when the record is freed', async (t) => {
  const { dir } = await directory(t)
  const writer = await openSpoolWriter(dir, { writerName: 'test' })
  const ids = await Promise.all(Array.from({ length: 10 }, () => put(writer)))
  const damaged = await put(writer, 1000)
  await writer.close()
  const keeper = await openSpoolKeeper(dir)
  t.after(() => keeper.close())
  const [name = ''] = await readdir(join(dir, 'segments'))
  const file = await openFile(join(dir, 'segments', name), 'r+')
  const { size } = await file.stat()
  await file.write('damage', size - 10)
  await file.close()
  await keeper.free(ids.slice(3))
  // The damaged record keeps the segment, when the others are copied already: as a crash in between.
  await keeper.compact(inAnHour())
  const shards = new Set(ids.map((id) => join(dir, 'files', id.slice(-1))))
  const copies = async (): Promise<string[]> => (await Promise.all([...shards].map((shard) => readdir(shard)))).flat()
  assert.equal((await copies()).length, 3)
  const afterwards = await openSpoolKeeper(dir)
  t.after(() => afterwards.close())
  await afterwards.free([...ids.slice(0, 3), damaged])
  assert.deepEqual(await copies(), [])
  assert.deepEqual(await Array.fromAsync(afterwards.list()), [])
})

async function overwrite(path: string, at: number): Promise<void> {
  const file = await openFile(path, 'r+')
  await file.write('\0damage\0', at)
  await file.close()
}
