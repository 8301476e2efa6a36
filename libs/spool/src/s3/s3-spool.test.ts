import assert from 'node:assert/strict'
import { after, test, type TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'

import type { QueueId } from '@postbus/contracts'
import { Bucket, type S3Options, S3Unavailable } from '@postbus/s3'
import { startS3, startS3Proxy, type S3Proxy } from '@postbus/testkit'

import { acceptedAs, bytesOf, contentOf, queueIds, whole } from '../../test/samples.ts'
import { spoolContract } from '../spool.contract.ts'
import { CorruptRecord, NoSuchRecord, SpoolFull, type SpoolKeeper, type SpoolWriter } from '../spool.ts'
import { StoreWriter, type StoreWriterLimits } from '../store-writer.ts'
import { s3Keeper } from './keeper.ts'
import { s3Reader } from './reader.ts'
import { S3RecordStore } from './store.ts'

const server = await startS3({ after })
let spools = 0

interface Spool {
  proxy: S3Proxy
  location: string
  options: S3Options
}

/** A prefix of its own. */
async function spoolOf(t: TestContext): Promise<Spool> {
  const proxy = await startS3Proxy(t, server)
  return {
    proxy,
    location: `s3://${server.bucket}/spool-${spools++}`,
    options: {
      ...{ endpoint: proxy.endpoint, accessKeyId: server.accessKeyId, secretAccessKey: server.secretAccessKey },
      ...{
        region: 'us-east-1',
        bucketIn: 'path',
        partBytes: 1_100_000,
        connections: 32,
        tryMs: 20_000,
        deadlineMs: 60_000,
      },
    },
  }
}

const writerTo = (
  { location, options }: Spool,
  changed: Partial<S3Options> & Partial<StoreWriterLimits> = {},
): SpoolWriter => new StoreWriter(new S3RecordStore(location, { ...options, ...changed }, { now: Date.now }), changed)

const keeperOf = ({ location, options }: Spool, onDamage = (_: QueueId): void => {}): SpoolKeeper =>
  s3Keeper(location, options, onDamage)

spoolContract(
  'S3',
  async (t) => {
    const spool = await spoolOf(t)
    return {
      writer: async () => writerTo(spool),
      reader: () => s3Reader(spool.location, spool.options),
      keeper: async () => keeperOf(spool),
    }
  },
  { keepsOpenRecords: false, manyPuts: 50 },
)

interface Opened extends Spool {
  writer: SpoolWriter
  keeper: SpoolKeeper
  put(size: number): Promise<QueueId>
  read(queueId: QueueId, size: number): Promise<void>
  listed(): Promise<QueueId[]>
}

async function open(t: TestContext, changed: Partial<S3Options> & Partial<StoreWriterLimits> = {}): Promise<Opened> {
  const spool = await spoolOf(t)
  const [writer, reader, keeper] = [writerTo(spool, changed), s3Reader(spool.location, spool.options), keeperOf(spool)]
  t.after(() => Promise.all([writer.close(), reader.close(), keeper.close()]))
  const next = queueIds()
  return {
    ...{ ...spool, writer, keeper },
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

/** Three parts. */
const LARGE = 2_500_000

test('a small message is one request, and one more has it back', async (t) => {
  const { proxy, put, read } = await open(t)
  const queueId = await put(4000)
  assert.deepEqual(
    proxy.takeAsked().map(({ method }) => method),
    ['PUT'],
  )
  await read(queueId, 4000)
  assert.deepEqual(
    proxy.takeAsked().map(({ method }) => method),
    ['GET'],
  )
})

test('errors, broken connections and lost answers are made up for: each record is there once, whole', async (t) => {
  const { proxy, put, read, listed } = await open(t)
  for (const fault of [500, 'cut', 'lost', 'cutAnswer'] as const) {
    for (const size of [4000, LARGE]) {
      const failed = new Set<string>()
      proxy.fault = ({ method, key, query }) => {
        const what = `${method} ${key}?${query}`
        if (failed.has(what)) return null
        failed.add(what)
        return fault
      }
      const queueId = await put(size)
      await read(queueId, size)
      assert.ok((await listed()).includes(queueId))
    }
  }
  assert.equal((await listed()).length, 8)
})

test('a put that fails for good leaves nothing that is read or listed, and what is left of its parts is swept', async (t) => {
  const { proxy, put, keeper, listed } = await open(t, { tryMs: 2000, deadlineMs: 2000 })
  proxy.fault = ({ query }) => (query.get('partNumber') === '2' || query.has('uploadId') ? 500 : null)
  await assert.rejects(put(LARGE), S3Unavailable)
  proxy.fault = () => null
  assert.deepEqual(await listed(), [])
  assert.equal(await keeper.sweep(new Date(Date.now() - 3_600_000)), 0)
  assert.equal(await keeper.sweep(new Date(Date.now() + 3_600_000)), 1)
})

test('a store that fails closes the door after a few messages, and opens it by itself when it takes some again', async (t) => {
  const { proxy, put, writer } = await open(t, { tryMs: 1000, deadlineMs: 1000 })
  proxy.fault = () => 503
  assert.equal(writer.hasRoom(), true)
  while (writer.hasRoom()) await assert.rejects(put(100), S3Unavailable)
  await assert.rejects(put(100), SpoolFull)
  proxy.fault = () => null
  while (!writer.hasRoom()) await sleep(20)
  await put(100)
})

test('what all messages hold in memory is bounded: who would exceed it is refused, and then there is room again', async (t) => {
  const { put, writer } = await open(t, { heldMaxBytes: 100_000 })
  const { promise: rest, resolve } = Promise.withResolvers<void>()
  const { promise: begun, resolve: begin } = Promise.withResolvers<void>()
  async function* waiting(): AsyncGenerator<Uint8Array> {
    yield Buffer.alloc(60_000)
    begin()
    await rest
  }
  const queueId = queueIds()()
  const first = writer.put(queueId, waiting(), (octets) => acceptedAs(queueId, octets))
  await begun
  await assert.rejects(put(60_000), SpoolFull)
  assert.equal(writer.hasRoom(), true)
  resolve()
  await first
  await put(60_000)
})

test('a listing that is late hides nothing for ever, and one that shows what is gone does not fail', async (t) => {
  const spool = await open(t)
  const [one, two] = [await spool.put(100), await spool.put(100)]
  spool.proxy.hidden = (key) => key.endsWith(one)
  assert.deepEqual(await spool.listed(), [two])
  await spool.read(one, 100)
  spool.proxy.hidden = () => false
  assert.deepEqual(await spool.listed(), [one, two])
  // Listed, and gone when it is read.
  spool.proxy.fault = ({ method, key }) => (method === 'GET' && key.endsWith(one) ? 404 : null)
  assert.deepEqual(await spool.listed(), [two])
})

test('damage is told, hides no other record, and the damaged one can be freed', async (t) => {
  const spool = await open(t)
  const [good, bad, ugly] = [await spool.put(100), await spool.put(100), await spool.put(LARGE)]
  await damage(spool, bad, 10)
  await damage(spool, ugly, 1_400_000)
  await assert.rejects(spool.read(bad, 100), CorruptRecord)
  await assert.rejects(spool.read(ugly, LARGE), CorruptRecord)
  const told: QueueId[] = []
  const keeper = keeperOf(spool, (queueId) => told.push(queueId))
  t.after(() => keeper.close())
  const listed = (await Array.fromAsync(keeper.list())).map(({ accepted }) => accepted.queueId)
  assert.deepEqual([listed, told], [[good, ugly], [bad]])
  await keeper.free([bad, ugly])
  await assert.rejects(spool.read(bad, 100), NoSuchRecord)
})

/** Another octet where there was one. */
async function damage({ location, options }: Spool, queueId: QueueId, at: number): Promise<void> {
  const bucket = new Bucket(location, options)
  const octets = Buffer.concat(await Array.fromAsync(bucket.read(`records/${queueId}`)))
  octets.writeUInt8(octets.readUInt8(at) ^ 0xff, at)
  await bucket.delete([`records/${queueId}`])
  await bucket.create(`records/${queueId}`, octets)
  await bucket.close()
}
