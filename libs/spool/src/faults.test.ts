/** What a disk does wrong, and what stays right. */
import assert from 'node:assert/strict'
import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'

import type { QueueId } from '@postbus/contracts'

import { faultyDisk } from '../test/faulty-disk.ts'
import { acceptedAs, bytesOf, queueIds, whole } from '../test/samples.ts'
import { temporaryDirectory } from '../test/temporary.ts'
import {
  NoSuchRecord,
  openSpoolKeeper,
  openSpoolReader,
  openSpoolWriter,
  SpoolFull,
  type SpoolKeeper,
  type SpoolWriter,
  type SpoolWriterLimits,
} from './index.ts'

const LARGE = Buffer.alloc(400 * 1024, 'large')

async function open(t: TestContext, limits: Partial<SpoolWriterLimits> = {}) {
  const dir = await temporaryDirectory(t)
  const disk = faultyDisk()
  const writer = await openSpoolWriter(dir, { writerName: 'test', disk, ...limits })
  const reader = await openSpoolReader(dir)
  const keeper = await openSpoolKeeper(dir, { disk })
  t.after(() => Promise.all([writer.close(), reader.close(), keeper.close()]))
  return { dir, disk, writer, reader, keeper }
}

const nextId = queueIds()

async function put(writer: SpoolWriter, bytes: Uint8Array | string = 'text', queueId = nextId()): Promise<QueueId> {
  await writer.put(queueId, bytesOf(bytes), (size) => acceptedAs(queueId, size))
  return queueId
}

async function listed(keeper: SpoolKeeper): Promise<QueueId[]> {
  return (await Array.fromAsync(keeper.list())).map(({ accepted }) => accepted.queueId)
}

const segments = (dir: string): Promise<string[]> => readdir(join(dir, 'segments'))

for (const operation of ['writev', 'datasync'] as const) {
  test(`a failed ${operation} fails its own group, and the next one begins a segment of its own`, async (t) => {
    const { dir, disk, writer, reader, keeper } = await open(t)
    const before = await put(writer)
    disk.fail(operation, 'EIO', { path: /\.seg$/ })
    const failed = Array.from({ length: 5 }, () => nextId())
    const results = await Promise.allSettled(failed.map((id) => put(writer, 'lost', id)))
    assert.ok(results.every(({ status }) => status === 'rejected'))
    const [old] = await segments(dir)
    const { size } = await stat(join(dir, 'segments', old ?? ''))
    const after = await put(writer)
    assert.equal((await segments(dir)).length, 2)
    assert.equal((await stat(join(dir, 'segments', old ?? ''))).size, size, 'never appended to again')
    for (const id of [before, after]) assert.equal(String(await whole((await reader.open(id)).read())), 'text')
    for (const id of failed) await assert.rejects(reader.open(id), NoSuchRecord)
    assert.deepEqual(await listed(keeper), [before, after])
  })
}

test('a segment whose name could not be made durable takes no record', async (t) => {
  const { disk, writer, reader } = await open(t)
  disk.fail('syncDirectory', 'EIO', { path: /segments$/ })
  const failed = nextId()
  await assert.rejects(put(writer, 'lost', failed), /EIO/)
  await assert.rejects(reader.open(failed), NoSuchRecord)
  await reader.open(await put(writer))
})

test('the name of a new segment is durable before its first put resolves', async (t) => {
  const { disk, writer } = await open(t)
  const operations: string[] = []
  disk.before = (operation, path) => void operations.push(`${operation} ${path.split('/').at(-1)?.replace(/.*\./, '')}`)
  await put(writer)
  assert.deepEqual(operations.slice(0, 2), ['create seg', 'syncDirectory segments'])
  assert.deepEqual(
    operations.filter((one) => /sync/.test(one)),
    ['syncDirectory segments', 'datasync seg'],
  )
})

test('an index that cannot be written costs no message: readers scan', async (t) => {
  for (const operation of ['create', 'writev'] as const) {
    const { disk, writer, reader, keeper } = await open(t)
    disk.fail(operation, 'ENOSPC', { path: /\.idx$/, times: 100 })
    const ids = [await put(writer, 'one'), await put(writer, 'two'), await put(writer, 'three')]
    for (const id of ids) assert.equal((await reader.open(id)).accepted.queueId, id)
    await keeper.free(ids.slice(0, 1))
    await writer.close()
    assert.deepEqual(await listed(keeper), ids.slice(1))
  }
})

for (const operation of ['sync', 'syncDirectory', 'writev', 'create'] as const) {
  test(`a large message whose ${operation} fails leaves nothing`, async (t) => {
    const { dir, disk, writer, reader, keeper } = await open(t)
    disk.fail(operation, 'EIO', { path: /temporary|files/ })
    const failed = nextId()
    await assert.rejects(put(writer, LARGE, failed), /EIO/)
    await assert.rejects(reader.open(failed), NoSuchRecord)
    assert.deepEqual(await listed(keeper), [])
    assert.deepEqual(await readdir(join(dir, 'temporary')), [])
    assert.deepEqual(await readdir(join(dir, 'files', failed.slice(-1))), [])
    await put(writer, LARGE, failed)
  })
}

test('a full disk is SpoolFull, and the gate stays closed for a while', async (t) => {
  for (const bytes of ['text', LARGE]) {
    const { disk, writer } = await open(t)
    disk.fail('writev', 'ENOSPC', { path: /\.(seg|msg)$/ })
    assert.equal(writer.hasRoom(), true)
    await assert.rejects(put(writer, bytes), SpoolFull)
    assert.equal(writer.hasRoom(), false)
    await assert.rejects(put(writer, bytes), SpoolFull)
  }
})

test('a disk below its limit of free space is a full spool, until there is space again', async (t) => {
  t.mock.timers.enable({ apis: ['setInterval'] })
  const { disk, writer } = await open(t, { minFreeBytes: 1000 })
  let time = performance.now()
  t.mock.method(performance, 'now', () => time)
  const later = async (): Promise<void> => {
    time += 1001
    writer.hasRoom()
    await new Promise((resolve) => setImmediate(resolve))
  }
  disk.freeBytes = 1000
  await later()
  assert.equal(writer.hasRoom(), false)
  await assert.rejects(put(writer), SpoolFull)
  disk.freeBytes = 100_000
  await later()
  assert.equal(writer.hasRoom(), true)
})

test('a spool at its size is full for every writer', async (t) => {
  const { dir, writer } = await open(t, { maxBytes: 1_000_000 })
  await put(writer, LARGE)
  await put(writer, LARGE)
  await put(writer, LARGE)
  await assert.rejects(put(writer, 'text'), SpoolFull)
  const other = await openSpoolWriter(dir, { writerName: 'other', maxBytes: 1_000_000 })
  t.after(() => other.close())
  assert.equal(other.hasRoom(), false)
})

test('waiting is bounded: a disk that does not keep up is SpoolFull', async (t) => {
  const { disk, writer } = await open(t, { maxWaiting: 3 })
  const stuck = Promise.withResolvers<void>()
  disk.before = (operation) => (operation === 'datasync' ? stuck.promise : undefined)
  const puts = Array.from({ length: 10 }, () => put(writer))
  const results = Promise.allSettled(puts)
  const refused = await Promise.race(
    puts.map((one) =>
      one.then(
        () => null,
        (cause: unknown) => cause,
      ),
    ),
  )
  assert.ok(refused instanceof SpoolFull)
  stuck.resolve()
  const kept = (await results).filter(({ status }) => status === 'fulfilled').length
  assert.ok(kept >= 3 && kept < 10, `${kept} kept`)
})

test('beyond what may be held in memory, small messages get files of their own', async (t) => {
  const { dir, writer, reader } = await open(t, { heldMaxBytes: 1000 })
  const ids = await Promise.all(Array.from({ length: 8 }, () => put(writer, Buffer.alloc(900, 'x'))))
  for (const id of ids) {
    const record = await reader.open(id)
    assert.equal((await whole(record.read())).length, 900)
    await record.close()
  }
  const files = await Promise.all(ids.map((id) => readdir(join(dir, 'files', id.slice(-1)))))
  assert.ok(files.flat().some((name) => name.endsWith('.msg')))
})

test('more large messages at once than agreed are refused', async (t) => {
  const { disk, writer } = await open(t, { maxFiles: 2 })
  const stuck = Promise.withResolvers<void>()
  disk.before = (operation, path) => (operation === 'sync' && path.endsWith('.msg') ? stuck.promise : undefined)
  const puts = [put(writer, LARGE), put(writer, LARGE), put(writer, LARGE)]
  const results = Promise.allSettled(puts)
  await Promise.any(
    puts.map((one) =>
      one.then(
        () => Promise.reject(new Error('kept')),
        () => undefined,
      ),
    ),
  )
  assert.equal(writer.hasRoom(), false)
  stuck.resolve()
  assert.deepEqual((await results).map(({ status }) => status).sort(), ['fulfilled', 'fulfilled', 'rejected'])
})

test('a tombstone that could not be synced is no tombstone, and its file is not used again', async (t) => {
  const { dir, disk, writer, keeper } = await open(t)
  const ids = [await put(writer), await put(writer), await put(writer)]
  await keeper.free(ids.slice(0, 1))
  disk.fail('datasync', 'EIO', { path: /\.freed$/ })
  await assert.rejects(keeper.free(ids.slice(1, 2)), /EIO/)
  await keeper.free(ids.slice(1, 2))
  assert.deepEqual(await listed(keeper), ids.slice(2))
  const [segment = ''] = await readdir(join(dir, 'freed'))
  const files = await readdir(join(dir, 'freed', segment))
  assert.equal(files.length, 2)
  assert.equal((await readFile(join(dir, 'freed', segment, files.sort()[1] ?? ''))).length, 32)
})

test('a copy that could not be made durable keeps its segment', async (t) => {
  const { dir, disk, writer, reader, keeper } = await open(t)
  const ids = []
  for (let n = 0; n < 10; n++) ids.push(await put(writer))
  await writer.close()
  await keeper.free(ids.slice(1))
  const inAnHour = new Date(Date.now() + 3600_000)
  for (const operation of ['sync', 'syncDirectory'] as const) {
    disk.fail(operation, 'EIO', { path: /keeper-|files/ })
    await assert.rejects(keeper.compact(inAnHour), /EIO/)
    assert.equal((await segments(dir)).length, 1)
  }
  assert.deepEqual(await keeper.compact(inAnHour), { copied: 1, segmentsRemoved: 1 })
  assert.equal((await segments(dir)).length, 0)
  assert.equal(String(await whole((await reader.open(ids[0] ?? nextId())).read())), 'text')
})
