/** Intake on a real spool: what is promised when, and what a large message costs. */
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

import { BusUnavailable } from '@postbus/bus'
import { Envelope, MailAccepted } from '@postbus/contracts'
import { type Disk, localDisk, openSpoolReader, openSpoolWriter } from '@postbus/spool'
import { pino } from 'pino'

import { createIntake, type Incoming } from '../src/index.ts'

async function intakeOn(t: TestContext, disk: Disk = localDisk, publish: () => Promise<void> = async () => {}) {
  const dir = await mkdtemp(join(tmpdir(), 'postbus-intake-'))
  t.after(() => rm(dir, { recursive: true, force: true }))
  const spool = await openSpoolWriter(dir, { writerName: 'test', disk })
  const reader = await openSpoolReader(dir)
  const intake = createIntake({
    bus: { publish },
    spool,
    hostname: 'mx.example.org',
    log: pino({ level: 'silent' }),
    publishWaitMs: 20,
    drainMs: 0,
  })
  t.after(async () => {
    await intake.drain()
    await spool.close()
    await reader.close()
  })
  return { intake, reader }
}

const incoming = (body: AsyncIterable<Uint8Array>, inspect: Incoming['inspect']): Incoming => ({
  origin: 'inbound',
  envelope: Envelope.parse({ reversePath: 'a@example.com', recipients: [{ forwardPath: 'jones@example.org' }] }),
  client: { helo: 'client.test', address: '192.0.2.7', hostname: null, tls: null, protocol: 'ESMTP' },
  body,
  maxBytes: 100 * 1024 * 1024,
  inspect,
})

const nothing: Incoming['inspect'] = async () => ({ prepend: [] })

async function* message(bodyBytes: number): AsyncGenerator<Uint8Array> {
  yield Buffer.from('Subject: large\r\n\r\n')
  for (let left = bodyBytes; left > 0; left -= 64 * 1024) yield Buffer.alloc(Math.min(left, 64 * 1024), 'x')
}

test('nothing is durable before the header was inspected, and nothing answered before the flush', async (t) => {
  const events: string[] = []
  const synced = Promise.withResolvers<void>()
  const disk: Disk = {
    ...localDisk,
    async create(path) {
      const file = await localDisk.create(path)
      return {
        writev: (buffers, position) => {
          events.push('written')
          return file.writev(buffers, position)
        },
        datasync: async () => {
          await synced.promise
          await file.datasync()
          events.push('durable')
        },
        sync: () => file.sync(),
        truncate: (length) => file.truncate(length),
        close: () => file.close(),
      }
    },
  }
  const { intake, reader } = await intakeOn(t, disk, async () => void events.push('published'))
  const inspect: Incoming['inspect'] = async () => {
    events.push('inspected')
    return { prepend: [] }
  }
  const taking = intake.take(incoming(message(100), inspect)).finally(() => events.push('answered'))
  while (!events.includes('written')) await new Promise((resolve) => setImmediate(resolve))
  assert.deepEqual(events, ['inspected', 'written'])
  synced.resolve()
  const { queueId } = await taking
  assert.deepEqual(
    events.filter((event) => event !== 'written'),
    ['inspected', 'durable', 'published', 'answered'],
  )
  assert.equal((await reader.open(queueId)).accepted.queueId, queueId)
})

test('a message the bus did not take is ours all the same, with the event it would have had', async (t) => {
  const { intake, reader } = await intakeOn(t, localDisk, () => Promise.reject(new BusUnavailable('down')))
  const { queueId, size } = await intake.take(incoming(message(100), nothing))
  const { accepted, read } = await reader.open(queueId)
  assert.deepEqual(MailAccepted.schema.parse(accepted), accepted)
  const bytes = Buffer.concat(await Array.fromAsync(read()))
  assert.equal(bytes.length, size)
  assert.match(String(bytes), new RegExp(`^Received: .*\\r\\n\\tby mx\\.example\\.org with ESMTP id ${queueId}\\r\\n`))
})

test('a message of 64 MiB never stands in memory', async (t) => {
  const { intake, reader } = await intakeOn(t)
  await intake.take(incoming(message(1024 * 1024), nothing))
  const before = inUse()
  let most = 0
  async function* measured(): AsyncGenerator<Uint8Array> {
    let pieces = 0
    for await (const piece of message(64 * 1024 * 1024)) {
      if (pieces++ % 64 === 0) most = Math.max(most, inUse() - before)
      yield piece
    }
  }
  const { queueId, size } = await intake.take(incoming(measured(), nothing))
  assert.ok(most < 8 * 1024 * 1024, `${most} octets more`)
  const record = await reader.open(queueId)
  let read = 0
  for await (const piece of record.read()) read += piece.length
  await record.close()
  assert.equal(read, size)
})

/** Octets that are not garbage. */
function inUse(): number {
  setFlagsFromString('--expose-gc')
  runInNewContext('gc')()
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  return heapUsed + arrayBuffers
}
