/** Threads as the process sees them: real ones, with a real spool and a listener that takes the mail. */
import assert from 'node:assert/strict'
import { createPrivateKey } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'

import { DependencyUnavailable } from '@postbus/bus'
import { QueueId } from '@postbus/contracts'
import { keyPair, type SigningKey } from '@postbus/mail-auth'
import { NoSuchRecord, openSpoolWriter } from '@postbus/spool'
import { startSmtpSink } from '@postbus/testkit'

import { putMessage, taskTo } from '../../../test/samples.ts'
import type { Destination } from '../../attempt/destination.ts'
import { DeliveryConfig } from '../../config.ts'
import { openTransactions, type Transactions } from '../../transaction.ts'
import type { HostRoute } from '../../attempt/attempt.ts'
import { transactionThreads } from './threads.ts'

const queueId = (number: number): QueueId => QueueId.parse(`01J9ZK3V8Q6X4T2M7N5R1${String(number).padStart(5, '0')}`)

const route: HostRoute = {
  ...{ key: 'far.test', shared: false, rule: null, tls: 'none', auth: null },
  way: { kind: 'mx', domain: 'far.test', port: null, named: false },
  policy: {},
}

const nobody: Transactions = {
  transact: () => Promise.reject(new Error('not in a thread')),
  close: async () => {},
}

async function world(t: TestContext, settings: Record<string, string> = {}) {
  const data = await mkdtemp(join(tmpdir(), 'postbus-delivery-'))
  const sink = await startSmtpSink(t)
  const spool = await openSpoolWriter(join(data, 'spool'), { writerName: 'test' })
  const config = DeliveryConfig.parse({ SPOOL: join(data, 'spool'), MAIL_HOSTNAME: 'mx.example.org', ...settings })
  const state: { generation: number; keys: () => Promise<readonly SigningKey[]> } = {
    generation: 0,
    keys: async () => [],
  }
  const keys = { keysOf: () => state.keys(), generation: () => state.generation }
  const counted: unknown[][] = []
  const metrics = {
    session: (...values: unknown[]) => void counted.push(['session', ...values]),
    sessionFailed: (...values: unknown[]) => void counted.push(['sessionFailed', ...values]),
    signed: (...values: unknown[]) => void counted.push(['signed', ...values]),
  }
  const threads = transactionThreads(nobody, config, keys, metrics)
  t.after(async () => {
    await threads.close()
    await spool.close()
    await rm(data, { recursive: true, force: true })
  })
  const hosts = [{ name: 'mx.far.test', address: '127.0.0.1', port: sink.port }]
  return {
    ...{ sink, config, keys, state, counted, metrics },
    put: (id: QueueId) => putMessage(spool, id, `From: smith@example.org\r\nSubject: ${id}\r\n\r\nhello\r\n`),
    /** What became of each recipient, in order; the sink numbers what it keeps. */
    async send(
      id: QueueId,
      forwardPaths: readonly [string, ...string[]],
      { by = threads, destination = async (): Promise<Destination> => ({ kind: 'hosts', hosts }) } = {},
    ) {
      const [first, ...rest] = forwardPaths
      const task = (path: string) => taskTo(path, { queueId: id })
      const tasks = [task(first), ...rest.map(task)] as const
      const { outcomes, news } = await by.transact(tasks, route, destination)
      const said = JSON.stringify([tasks.map((one) => outcomes.get(one)), news])
      return JSON.parse(said.replaceAll(/kept as \d+/g, 'kept'))
    },
  }
}

test('a thread says of every recipient, and of the site, what the process itself would', async (t) => {
  const { put, send, config, keys, metrics } = await world(t)
  await put(queueId(1))
  const paths = ['ann@far.test', 'permfail@far.test', 'tempfail@far.test', 'bob@far.test'] as const
  const itself = await openTransactions(config, keys, metrics)
  const expected = await send(queueId(1), paths, { by: itself })
  await itself.close()
  assert.deepEqual(
    expected[0].map(({ kind }: { kind: string }) => kind),
    ['relayed', 'failed', 'deferred', 'relayed'],
  )
  assert.deepEqual(await send(queueId(1), paths), expected)
})

test('any number of threads share the messages, each with sessions of its own that are used again', async (t) => {
  const { put, send, sink } = await world(t, { DELIVERY_THREADS: '3' })
  const count = 30
  for (let number = 0; number < count; number++) {
    await put(queueId(number))
    await send(queueId(number), ['ann@far.test'])
  }
  assert.equal(sink.messages.length, count)
  assert.equal(sink.sessions, 3)
})

test('what decides about a task keeps its class on the way between threads', async (t) => {
  const { put, send, state, sink } = await world(t)
  await assert.rejects(send(queueId(1), ['ann@far.test']), NoSuchRecord)
  await put(queueId(1))
  state.keys = () => Promise.reject(new DependencyUnavailable('cannot say'))
  await assert.rejects(send(queueId(1), ['ann@far.test']), DependencyUnavailable)
  assert.equal(sink.messages.length, 0)
})

test('a next hop that cannot be looked up is temporary', async (t) => {
  const { put, send } = await world(t)
  await put(queueId(1))
  const destination = () => Promise.reject(new Error('no server answers'))
  const [[outcome]] = await send(queueId(1), ['ann@far.test'], { destination })
  assert.partialDeepStrictEqual(outcome, { kind: 'deferred', status: '4.4.3' })
})

test('keys that changed sign the next message', async (t) => {
  const { put, send, state, sink, counted } = await world(t)
  const privateKey = createPrivateKey((await keyPair('ed25519')).privateKey)
  const key = (selector: string): SigningKey => ({ domain: 'example.org', selector, algorithm: 'ed25519', privateKey })
  for (const [number, selector] of ['one', 'two'].entries()) {
    state.keys = async () => [key(selector)]
    state.generation++
    await put(queueId(number))
    await send(queueId(number), ['ann@far.test'])
  }
  assert.deepEqual(
    sink.messages.map(({ data }) => /\bs=(\w+)/.exec(data.toString())?.[1]),
    ['one', 'two'],
  )
  assert.deepEqual(counted, [
    ['session', 'none', 'none'],
    ['signed', 'signed'],
    ['signed', 'signed'],
  ])
})
