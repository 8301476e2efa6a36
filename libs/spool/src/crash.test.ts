/** What stands after a process was killed in the middle of its work. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { appendFile, cp, open as openFile, readdir, readFile, stat, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { test, type TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'

import { QueueId } from '@postbus/contracts'
import fc from 'fast-check'

import { acceptedAs, bytesOf, contentOf, queueIds, whole } from '../test/samples.ts'
import { temporaryDirectory } from '../test/temporary.ts'
import { NoSuchRecord, openSpoolKeeper, openSpoolReader, openSpoolWriter, type SpoolReader } from './index.ts'
import { parseSegmentName } from './layout.ts'

const inAnHour = (): Date => new Date(Date.now() + 3600_000)

/** Runs a writer until it has promised so many records, and kills it. @returns what it promised */
async function killedWriter(dir: string, promises: number): Promise<{ queueId: QueueId; size: number }[]> {
  const script = fileURLToPath(new URL('../test/crash-writer.ts', import.meta.url))
  const child = spawn(process.execPath, [script, dir, 'crash'], { stdio: ['ignore', 'pipe', 'inherit'] })
  const promised: { queueId: QueueId; size: number }[] = []
  for await (const line of createInterface(child.stdout)) {
    const [queueId, size] = line.split(' ')
    promised.push({ queueId: QueueId.parse(queueId), size: Number(size) })
    if (promised.length === promises) child.kill('SIGKILL')
  }
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
  assert.equal(child.signalCode, 'SIGKILL')
  return promised
}

async function assertReadable(reader: SpoolReader, queueId: QueueId, size: number): Promise<void> {
  const record = await reader.open(queueId)
  assert.equal(record.size, size)
  assert.ok((await whole(record.read())).equals(contentOf(queueId, size)), queueId)
  await record.close()
}

test('every record whose put resolved survives kill -9 of its writer, also without indexes', async (t) => {
  const dir = await temporaryDirectory(t)
  const promised = []
  for (const promises of [1, 150, 400]) promised.push(...(await killedWriter(dir, promises)))
  const reader = await openSpoolReader(dir)
  t.after(() => reader.close())
  for (const { queueId, size } of promised) await assertReadable(reader, queueId, size)

  for (const name of await readdir(join(dir, 'index'))) {
    const path = join(dir, 'index', name)
    await truncate(path, Math.floor((await stat(path)).size / 2))
  }
  const afresh = await openSpoolReader(dir, { maxPlaces: 50 })
  const keeper = await openSpoolKeeper(dir)
  t.after(() => Promise.all([afresh.close(), keeper.close()]))
  for (const { queueId, size } of promised) await assertReadable(afresh, queueId, size)

  const listed = (await Array.fromAsync(keeper.list())).map(({ accepted }) => accepted.queueId)
  assert.equal(new Set(listed).size, listed.length)
  const known = new Set(listed)
  assert.ok(promised.every(({ queueId }) => known.has(queueId)))
  // What was written whole and not promised any more is the sender's to repeat, and custody's to free.
  assert.ok(listed.length - promised.length <= 3 * 20)
  for (const queueId of listed) await (await afresh.open(queueId)).close()

  await keeper.free(listed)
  await keeper.compact(inAnHour())
  await keeper.sweep(inAnHour())
  for (const directory of ['segments', 'index', 'freed', 'temporary', 'writers']) {
    assert.deepEqual(await readdir(join(dir, directory)), [], directory)
  }
  const files = await Promise.all(
    (await readdir(join(dir, 'files'))).map((shard) => readdir(join(dir, 'files', shard))),
  )
  assert.deepEqual(files.flat(), [])
})

test('a writer that lives keeps its unfinished files from being swept, a dead one does not', async (t) => {
  const dir = await temporaryDirectory(t)
  const writer = await openSpoolWriter(dir, { writerName: 'test' })
  const keeper = await openSpoolKeeper(dir)
  t.after(() => keeper.close())
  const goOn = Promise.withResolvers<void>()
  async function* slow(): AsyncGenerator<Uint8Array> {
    yield Buffer.alloc(400_000)
    await goOn.promise
    yield Buffer.from('end')
  }
  const queueId = queueIds()()
  const putting = writer.put(queueId, slow(), (size) => acceptedAs(queueId, size))
  while ((await readdir(join(dir, 'temporary'))).length === 0) await new Promise((resolve) => setImmediate(resolve))
  assert.equal(await keeper.sweep(inAnHour()), 0)
  goOn.resolve()
  await putting

  const dead = '0123456789abcdef'
  await writeFile(join(dir, 'temporary', `${dead}-${queueId}.msg`), 'half')
  await writeFile(join(dir, 'temporary', `keeper-${dead}-${queueId}`), 'half')
  await writeFile(join(dir, 'files', queueId.slice(-1), `${queueId}.${dead}.msg`), 'the loser of two')
  assert.equal(await keeper.sweep(new Date(Date.now() - 60_000)), 0)
  assert.equal(await keeper.sweep(inAnHour()), 3)
  const reader = await openSpoolReader(dir)
  t.after(() => Promise.all([reader.close(), writer.close()]))
  const record = await reader.open(queueId)
  assert.equal(record.size, 400_003)
  await record.close()
})

/** A segment of a writer that is gone, with its records in order. */
async function deadSegment(t: TestContext, sizes: readonly number[]) {
  const dir = await temporaryDirectory(t)
  const writer = await openSpoolWriter(dir, { writerName: 'test' })
  const nextId = queueIds()
  const ids: QueueId[] = []
  for (const size of sizes) {
    const queueId = nextId()
    await writer.put(queueId, bytesOf(contentOf(queueId, size)), (octets) => acceptedAs(queueId, octets))
    ids.push(queueId)
  }
  await writer.close()
  const [file = ''] = await readdir(join(dir, 'segments'))
  const segment = join(dir, 'segments', file)
  const index = join(dir, 'index', `${parseSegmentName(file)?.name}.idx`)
  return { dir, ids, segment, index, bytes: await readFile(segment), entries: await readFile(index) }
}

const SIZES = [300, 40, 60]

test('a segment cut at any octet keeps every record before the cut, and shows none behind it', async (t) => {
  const { dir, ids, segment, index, bytes, entries } = await deadSegment(t, SIZES)
  const [first = '', second = '', last = ''] = ids
  const lastAt = entries.readUIntLE(2 * 40 + 26, 6)
  const keeper = await openSpoolKeeper(dir)
  t.after(() => keeper.close())
  for (let cut = lastAt; cut < bytes.length; cut++) {
    await writeFile(segment, bytes.subarray(0, cut))
    // As after a loss of power: nothing of the index, or what had reached the disk.
    await writeFile(index, entries.subarray(0, cut % 2 ? 0 : 80))
    if (cut % 8 < 2) {
      const listed = (await Array.fromAsync(keeper.list())).map(({ accepted }) => accepted.queueId)
      assert.deepEqual(listed, [first, second], `cut at ${cut}`)
    }
    const reader = await openSpoolReader(dir)
    await assertReadable(reader, QueueId.parse(second), 40)
    await assert.rejects(reader.open(QueueId.parse(last)), NoSuchRecord)
    await reader.close()
  }
})

test('whatever a crash leaves behind the last flush, records before it are found and garbage is not', async (t) => {
  const { dir, ids, segment, index, bytes, entries } = await deadSegment(t, SIZES)
  const lastAt = entries.readUIntLE(2 * 40 + 26, 6)
  const keeper = await openSpoolKeeper(dir)
  t.after(() => keeper.close())
  const tail = fc.oneof(
    fc.uint8Array({ maxLength: 500 }),
    // The last record with some of its octets never written.
    fc.tuple(fc.nat(bytes.length - lastAt - 1), fc.integer({ min: 1, max: 200 })).map(([from, length]) => {
      const torn = Buffer.from(bytes.subarray(lastAt))
      return torn.fill(0, from, Math.min(torn.length, from + length))
    }),
    fc.constant(Buffer.from(bytes.subarray(0, lastAt))).map((copy) => copy.fill(0xff, 0, 30)),
  )
  await fc.assert(
    fc.asyncProperty(tail, fc.boolean(), async (garbage, indexed) => {
      await writeFile(segment, Buffer.concat([bytes.subarray(0, lastAt), garbage]))
      await writeFile(index, indexed ? entries.subarray(0, 80) : Buffer.alloc(0))
      const listed = (await Array.fromAsync(keeper.list())).map(({ accepted }) => accepted.queueId)
      const written = Buffer.from(garbage).equals(bytes.subarray(lastAt))
      // Ids of one millisecond are in no order.
      assert.deepEqual(listed.toSorted(), ids.slice(0, written ? 3 : 2).toSorted())
    }),
    { numRuns: 200 },
  )
})

test('a message that holds the octets of a record is never taken for one', async (t) => {
  const { dir, ids, segment, index, bytes } = await deadSegment(t, [200])
  const writer = await openSpoolWriter(dir, { writerName: 'test' })
  const nextId = queueIds()
  const hostile = nextId()
  await writer.put(hostile, bytesOf(Buffer.concat([Buffer.from('x'), bytes])), (size) => acceptedAs(hostile, size))
  const after = nextId()
  await writer.put(after, bytesOf('after'), (size) => acceptedAs(after, size))
  await writer.close()
  // The header in front of it is damaged, so that a scan has to look inside.
  const file = (await readdir(join(dir, 'segments'))).find((name) => !segment.endsWith(name)) ?? ''
  const handle = await openFile(join(dir, 'segments', file), 'r+')
  await handle.write('XXXX', 0)
  await handle.close()
  await writeFile(join(dir, 'index', file.replace('.seg', '.idx')), '')
  await appendFile(index, '')
  const keeper = await openSpoolKeeper(dir)
  t.after(() => keeper.close())
  const listed = (await Array.fromAsync(keeper.list())).map(({ accepted }) => accepted.queueId)
  assert.deepEqual(listed, [...ids, after])
})

test('a copy of a spool on another machine is the same spool', async (t) => {
  const { dir, ids } = await deadSegment(t, SIZES)
  const copy = join(await temporaryDirectory(t), 'copy')
  await cp(dir, copy, { recursive: true })
  const reader = await openSpoolReader(copy)
  t.after(() => reader.close())
  for (const [n, queueId] of ids.entries()) await assertReadable(reader, queueId, SIZES[n] ?? 0)
})
