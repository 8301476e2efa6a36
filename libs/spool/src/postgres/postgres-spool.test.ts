import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'

import type { QueueId } from '@postbus/contracts'
import { type PostgresServer, startPostgres } from '@postbus/testkit'

import { acceptedAs, bytesOf, contentOf, queueIds, whole } from '../../test/samples.ts'
import { spoolContract } from '../spool.contract.ts'
import { CorruptRecord, SpoolFull, type SpoolKeeper, type SpoolReader, type SpoolWriter } from '../spool.ts'
import { StoreWriter } from '../store-writer.ts'
import { postgresKeeper } from './keeper.ts'
import type { SpoolDatabaseOptions } from './open.ts'
import { postgresReader } from './reader.ts'
import { PostgresRecordStore, type PostgresStorePorts } from './store.ts'

const few = { connections: 4 }

const writerTo = (
  url: string,
  options: SpoolDatabaseOptions = {},
  ports: Partial<PostgresStorePorts> = {},
): SpoolWriter => new StoreWriter(new PostgresRecordStore(url, { ...few, ...options }, { now: Date.now, ...ports }))

spoolContract('PostgreSQL', async (t) => {
  const { url } = await startPostgres(t)
  return {
    writer: async () => writerTo(url),
    reader: () => postgresReader(url, few),
    keeper: async () => postgresKeeper(url, few, () => {}),
  }
})

interface Opened {
  server: PostgresServer
  writer: SpoolWriter
  reader: SpoolReader
  keeper: SpoolKeeper
  put(size: number): Promise<QueueId>
  read(queueId: QueueId, size: number): Promise<void>
  listed(): Promise<QueueId[]>
}

async function open(
  t: TestContext,
  {
    ports = {},
    onDamage = () => {},
    ...options
  }: SpoolDatabaseOptions & { ports?: Partial<PostgresStorePorts>; onDamage?: (queueId: QueueId) => void } = {},
): Promise<Opened> {
  const server = await startPostgres(t)
  const writer = writerTo(server.url, options, ports)
  const [reader, keeper] = [postgresReader(server.url, few), postgresKeeper(server.url, few, onDamage)]
  t.after(() => Promise.all([writer.close(), reader.close(), keeper.close()]))
  const next = queueIds()
  return {
    ...{ server, writer, reader, keeper },
    async put(size) {
      const queueId = next()
      await writer.put(queueId, bytesOf(contentOf(queueId, size)), (octets) => acceptedAs(queueId, octets))
      return queueId
    },
    async read(queueId, size) {
      const record = await reader.open(queueId)
      assert.ok((await whole(record.read())).equals(contentOf(queueId, size)), queueId)
      await record.close()
    },
    listed: async () => (await Array.fromAsync(keeper.list())).map(({ accepted }) => accepted.queueId),
  }
}

const LARGE = 1_500_000

test('messages that come together share their transactions', async (t) => {
  const flushes: number[] = []
  const { put } = await open(t, { ports: { onFlush: ({ records }) => flushes.push(records) } })
  await put(10)
  await Promise.all(Array.from({ length: 100 }, () => put(4000)))
  assert.equal(
    flushes.reduce((sum, records) => sum + records, 0),
    101,
  )
  assert.ok(flushes.length < 20, `${flushes.length} transactions`)
})

test('of two that put one id in the same transaction one is stored, and nobody else is hurt', async (t) => {
  const { writer, put, listed } = await open(t)
  const queueId = queueIds()()
  const same = (): Promise<unknown> => writer.put(queueId, bytesOf('x'), (octets) => acceptedAs(queueId, octets))
  const [one, two, other] = await Promise.allSettled([same(), same(), put(10)])
  assert.deepEqual([one.status, two.status, other.status].sort(), ['fulfilled', 'fulfilled', 'rejected'])
  assert.equal((await listed()).length, 2)
})

test('a long message that is freed gives its rows back, and what a crash left of another is swept', async (t) => {
  const { server, put, keeper } = await open(t)
  const queueId = await put(LARGE)
  await keeper.free([queueId])
  await server.administer('update spool.content set gone_at = 1; insert into spool.content (begun_at) values (1)')
  assert.equal(await keeper.sweep(new Date(0)), 0)
  assert.equal(await server.administer('select count(*) from spool.chunk'), '0')
  assert.equal(await keeper.sweep(new Date(2)), 1)
})

test('a server that fails closes the door after a few tries, and what was taken is there when it is back', async (t) => {
  const { server, writer, put, read } = await open(t, { busyTimeoutMs: 500, ports: { putAgainMs: 0 } })
  const [small, large] = [await put(100), await put(LARGE)]
  await server.stop('crash')
  for (let n = 0; n < 3; n++) await assert.rejects(put(100))
  assert.equal(writer.hasRoom(), false)
  await assert.rejects(put(100), SpoolFull)
  await server.start()
  while (!writer.hasRoom()) await sleep(20)
  await read(small, 100)
  await read(large, LARGE)
  await read(await put(LARGE), LARGE)
})

test('a server that crashes under puts and comes back has every record that was put, once, and no sender is told to come again', async (t) => {
  const { server, put, listed } = await open(t, { busyTimeoutMs: 100 })
  const putting = Array.from({ length: 5 }, async () => {
    const queueIds: QueueId[] = []
    for (let n = 0; n < 20; n++) queueIds.push(await put(4000))
    return queueIds
  })
  for (let crashes = 0; crashes < 2; crashes++) {
    await server.stop('crash')
    await server.start()
  }
  const queueIds = (await Promise.all(putting)).flat()
  assert.deepEqual((await listed()).sort(), queueIds.sort())
})

test('a server that crashes while a long message comes leaves nothing of it', async (t) => {
  const { server, writer, listed } = await open(t, { busyTimeoutMs: 500 })
  const queueId = queueIds()()
  async function* body(): AsyncGenerator<Uint8Array> {
    yield Buffer.alloc(2_000_000)
    await server.stop('crash')
    await server.start()
    await server.administer('delete from spool.chunk where number = 0')
    yield Buffer.alloc(2_000_000)
  }
  await assert.rejects(writer.put(queueId, body(), (octets) => acceptedAs(queueId, octets)))
  assert.deepEqual(await listed(), [])
})

test('damage is told and hides no other record', async (t) => {
  const told: QueueId[] = []
  const { server, put, read, listed } = await open(t, { onDamage: (queueId) => told.push(queueId) })
  const [good, bad, ugly] = [await put(100), await put(100), await put(LARGE)]
  await server.administer(`
    update spool.record set event = '{}' where queue_id = '${bad}';
    update spool.chunk set bytes = set_byte(bytes, 9, 0) where number = 2`)
  await assert.rejects(read(bad, 100), CorruptRecord)
  await assert.rejects(read(ugly, LARGE), CorruptRecord)
  assert.deepEqual([await listed(), told], [[good, ugly], [bad]])
})
