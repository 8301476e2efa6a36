/** What every spool must keep, whatever it is made of. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { suite, test, type TestContext } from 'node:test'

import { MailAccepted, QueueId } from '@postbus/contracts'

import { NoSuchRecord, type SpoolKeeper, type SpoolReader, type SpoolRecord, type SpoolWriter } from './spool.ts'

/** An empty spool, gone after the test; every call opens another access to it, as another process would. */
export interface TestSpool {
  writer(): Promise<SpoolWriter>
  reader(): Promise<SpoolReader> | SpoolReader
  keeper(): Promise<SpoolKeeper>
}

const SMALL = 10 * 1024
const LARGE = 3 * 1024 * 1024 + 17

export interface SpoolTraits {
  /** Default true. False: large records that are freed may be gone for those who have them open. */
  keepsOpenRecords?: boolean
  /** Put at once. Default 200. */
  manyPuts?: number
}

export function spoolContract(
  name: string,
  makeSpool: (t: TestContext) => Promise<TestSpool>,
  { keepsOpenRecords = true, manyPuts = 200 }: SpoolTraits = {},
): void {
  /** One of each, closed after the test. */
  async function open(t: TestContext) {
    const spool = await makeSpool(t)
    const parts = { writer: await spool.writer(), reader: await spool.reader(), keeper: await spool.keeper() }
    t.after(() => Promise.all([parts.writer.close(), parts.reader.close(), parts.keeper.close()]))
    return { ...parts, spool }
  }

  void suite(`${name} as a spool`, () => {
    test('a record is found by another process as soon as its put resolved, whatever its size', async (t) => {
      const { writer, reader } = await open(t)
      for (const size of [0, 1, SMALL, LARGE]) {
        const { queueId, bytes, accepted } = await put(writer, size)
        const record = await reader.open(queueId)
        assert.deepEqual(record.accepted, accepted)
        assert.equal(record.size, size)
        assert.ok((await whole(record)).equals(bytes), `${size} octets`)
        await record.close()
      }
    })

    test('a range has exactly its octets', async (t) => {
      const { writer, reader } = await open(t)
      for (const size of [SMALL, LARGE]) {
        const { queueId, bytes } = await put(writer, size)
        const record = await reader.open(queueId)
        const ranges = [
          [0, 0],
          [0, 10],
          [100, 9000],
          [size - 5, size],
          [size - 5, size + 50],
          [0, size + 50],
        ] as const
        for (const [start, end] of ranges) {
          assert.ok((await whole(record, { start, end })).equals(bytes.subarray(start, end)), `${start}–${end}`)
        }
        await record.close()
      }
    })

    test('what was never put is NoSuchRecord', async (t) => {
      const { writer, reader } = await open(t)
      await assert.rejects(reader.open(newId()), NoSuchRecord)
      await put(writer, SMALL)
      await assert.rejects(reader.open(newId()), NoSuchRecord)
      await assert.rejects(reader.open(idWithoutTime()), NoSuchRecord)
    })

    test('many puts at once are all kept apart', async (t) => {
      const { writer, reader } = await open(t)
      const records = await Promise.all(Array.from({ length: manyPuts }, (_, n) => put(writer, 500 + n)))
      for (const { queueId, bytes } of records) await assertBytes(reader, queueId, bytes)
    })

    test('writers of several processes do not disturb each other', async (t) => {
      const { spool, writer, reader } = await open(t)
      const second = await spool.writer()
      const records = await Promise.all([...'abcdefgh'].map((_, n) => put(n % 2 ? writer : second, SMALL)))
      await second.close()
      records.push(await put(writer, SMALL))
      for (const { queueId, bytes } of records) await assertBytes(reader, queueId, bytes)
    })

    test('a body that fails leaves nothing, and describe is not asked', async (t) => {
      const { writer, reader, keeper } = await open(t)
      for (const size of [SMALL, LARGE]) {
        const queueId = newId()
        async function* broken(): AsyncGenerator<Uint8Array> {
          yield* inPieces(sample(size))
          throw new Error('the client went away')
        }
        const describe = t.mock.fn((octets: number) => acceptedAs(queueId, octets))
        await assert.rejects(writer.put(queueId, broken(), describe), /the client went away/)
        assert.equal(describe.mock.callCount(), 0)
        await assert.rejects(reader.open(queueId), NoSuchRecord)
      }
      assert.deepEqual(await listed(keeper), [])
    })

    test('an envelope that fails leaves nothing', async (t) => {
      const { writer, reader } = await open(t)
      for (const size of [SMALL, LARGE]) {
        const queueId = newId()
        const describe = (): never => {
          throw new Error('no envelope')
        }
        await assert.rejects(writer.put(queueId, inPieces(sample(size)), describe), /no envelope/)
        await assert.rejects(reader.open(queueId), NoSuchRecord)
      }
    })

    test('an envelope of a thousand recipients is kept with a short message', async (t) => {
      const { writer, reader, keeper } = await open(t)
      const queueId = newId()
      const accepted = acceptedAs(queueId, 4, 3000)
      await writer.put(queueId, inPieces(Buffer.from('text')), () => accepted)
      const record = await reader.open(queueId)
      assert.deepEqual(record.accepted, accepted)
      assert.equal(String(await whole(record)), 'text')
      await record.close()
      assert.deepEqual(await listed(keeper), [queueId])
    })

    test('putIfAbsent keeps the first of two, also when both run at once', async (t) => {
      const { spool, writer, reader } = await open(t)
      const second = await spool.writer()
      t.after(() => second.close())
      const queueId = idWithoutTime()
      const both = await Promise.all(
        [writer, second].map((one, n) =>
          one.putIfAbsent(queueId, inPieces(Buffer.from(`from ${n}`)), (size) => ({
            ...acceptedAs(queueId, size),
            messageId: `<${n}@example.org>`,
          })),
        ),
      )
      assert.deepEqual(both[0], both[1])
      const third = await writer.putIfAbsent(queueId, inPieces(Buffer.from('late')), (size) =>
        acceptedAs(queueId, size),
      )
      assert.deepEqual(third, both[0])
      const record = await reader.open(queueId)
      assert.deepEqual(record.accepted, third)
      assert.equal(String(await whole(record)), third.messageId === '<0@example.org>' ? 'from 0' : 'from 1')
      await record.close()
    })

    test('a listing has every record once, with its envelope, and no freed one', async (t) => {
      const { spool, writer, keeper } = await open(t)
      const records = []
      for (const size of [SMALL, LARGE, 3, SMALL, LARGE, 5]) records.push(await put(writer, size))
      const [freedSmall, freedLarge, ...left] = records
      assert.ok(freedSmall && freedLarge)
      await keeper.free([freedSmall.queueId, freedLarge.queueId])
      assert.deepEqual((await listed(keeper)).sort(), ids(left))
      await writer.close()
      const other = await spool.keeper()
      t.after(() => other.close())
      assert.deepEqual((await listed(other)).sort(), ids(left))
      for await (const { accepted, writtenAt } of keeper.list()) {
        assert.deepEqual(accepted, records.find(({ queueId }) => queueId === accepted.queueId)?.accepted)
        assert.ok(Math.abs(Date.now() - writtenAt.getTime()) < 60_000)
      }
    })

    test('small records are listed in the order they were put', async (t) => {
      const { writer, keeper } = await open(t)
      const queueIds: QueueId[] = []
      for (let n = 0; n < 20; n++) queueIds.push((await put(writer, 100)).queueId)
      assert.deepEqual(await listed(keeper), queueIds)
    })

    test('freeing may happen twice, and ids nobody knows are no error', async (t) => {
      const { spool, writer, keeper } = await open(t)
      const records = [await put(writer, SMALL), await put(writer, LARGE)]
      await keeper.free(ids(records))
      await keeper.free([...ids(records), newId(), idWithoutTime()])
      const other = await spool.keeper()
      t.after(() => other.close())
      await other.free(ids(records))
      assert.deepEqual(await listed(other), [])
    })

    test('what waits for long survives compaction with the same bytes, and can be freed then', async (t) => {
      const { spool, reader, keeper } = await open(t)
      const writer = await spool.writer()
      const records = await Promise.all(Array.from({ length: 40 }, () => put(writer, SMALL)))
      await writer.close()
      const waiting = records.slice(0, 4)
      await keeper.free(ids(records.slice(4)))
      await keeper.compact(new Date(Date.now() + 3600_000))
      for (const { queueId, bytes } of waiting) await assertBytes(reader, queueId, bytes)
      for (const { queueId } of records.slice(4)) await assert.rejects(reader.open(queueId), NoSuchRecord)
      assert.deepEqual((await listed(keeper)).sort(), ids(waiting))
      await keeper.free(ids(waiting))
      assert.deepEqual(await listed(keeper), [])
    })

    test('a reader that has a record open finishes although it is freed and its place given back', async (t) => {
      const { spool, reader, keeper } = await open(t)
      const writer = await spool.writer()
      const records = [await put(writer, SMALL), await put(writer, LARGE)]
      await writer.close()
      const opened = await Promise.all(records.map(({ queueId }) => reader.open(queueId)))
      await keeper.free(ids(records))
      await keeper.compact(new Date(Date.now() + 3600_000))
      for (const [n, record] of opened.entries()) {
        const bytes = await whole(record).catch((cause: unknown) => {
          if (keepsOpenRecords || n === 0 || !(cause instanceof NoSuchRecord)) throw cause
          return records[n]?.bytes
        })
        assert.ok(bytes?.equals(records[n]?.bytes ?? Buffer.alloc(0)))
        await record.close()
      }
    })

    test('a sweep takes no complete record away', async (t) => {
      const { writer, reader, keeper } = await open(t)
      const records = [await put(writer, SMALL), await put(writer, LARGE)]
      await keeper.sweep(new Date(Date.now() + 3600_000))
      for (const { queueId, bytes } of records) await assertBytes(reader, queueId, bytes)
      const after = await put(writer, LARGE)
      await assertBytes(reader, after.queueId, after.bytes)
    })

    test('a closed writer takes nothing', async (t) => {
      const { writer } = await open(t)
      assert.equal(writer.hasRoom(), true)
      await writer.close()
      assert.equal(writer.hasRoom(), false)
      await assert.rejects(put(writer, SMALL))
    })
  })
}

interface Put {
  queueId: QueueId
  bytes: Buffer
  accepted: MailAccepted
}

async function put(writer: SpoolWriter, size: number, queueId = newId()): Promise<Put> {
  const bytes = sample(size)
  const accepted = await writer.put(queueId, inPieces(bytes), (octets) => acceptedAs(queueId, octets))
  return { queueId, bytes, accepted }
}

async function assertBytes(reader: SpoolReader, queueId: QueueId, bytes: Buffer): Promise<void> {
  const record = await reader.open(queueId)
  assert.ok((await whole(record)).equals(bytes), queueId)
  await record.close()
}

async function whole(record: SpoolRecord, range?: { start: number; end: number }): Promise<Buffer> {
  return Buffer.concat(await Array.fromAsync(record.read(range)))
}

async function listed(keeper: SpoolKeeper): Promise<QueueId[]> {
  return (await Array.fromAsync(keeper.list())).map(({ accepted }) => accepted.queueId)
}

const ids = (records: readonly Put[]): QueueId[] => records.map(({ queueId }) => queueId).sort()

async function* inPieces(bytes: Buffer): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += 60_000) yield bytes.subarray(at, at + 60_000)
}

function sample(size: number): Buffer {
  const bytes = Buffer.alloc(size, randomBytes(1021))
  return bytes
}

function acceptedAs(queueId: QueueId, size: number, recipients = 1): MailAccepted {
  return MailAccepted.schema.parse({
    queueId,
    incarnation: 0,
    acceptedAt: '2026-11-23T10:00:00Z',
    origin: 'inbound',
    size,
    smtputf8: false,
    requireTls: false,
    envelope: {
      reversePath: 'smith@example.com',
      recipients: Array.from({ length: recipients }, (_, n) => ({
        forwardPath: `recipient-with-a-long-name-${n}-${'x'.repeat(60)}@example.org`,
      })),
    },
  })
}

const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ'

function newId(time = Date.now()): QueueId {
  let rest = time
  let id = ''
  for (let at = 0; at < 10; at++) {
    id = ALPHABET.charAt(rest % 32) + id
    rest = Math.floor(rest / 32)
  }
  return QueueId.parse(id + randomText(16))
}

/** As a report's: a hash. */
const idWithoutTime = (): QueueId => QueueId.parse(`Z${randomText(25)}`)

const randomText = (length: number): string =>
  [...randomBytes(length)].map((octet) => ALPHABET.charAt(octet % 32)).join('')
