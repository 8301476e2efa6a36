import assert from 'node:assert/strict'
import { test } from 'node:test'

import { LANES, MailLocal } from '@postbus/contracts'
import { startNatsServer } from '@postbus/testkit'

import { BusUnavailable, connectBus, keepProvisioned } from '../src/index.ts'
import { local, log, platform, until } from './harness.ts'

test('what the contracts name is there, how full it is, and whether anybody reads', async (t) => {
  const { bus } = await platform(t)
  const [router, mailstore, operator] = [await bus('router'), await bus('mailstore'), await bus('operator')]
  await router.publish(MailLocal, local(1))
  // The server counts what waits beside its confirmations.
  await until(async () => {
    const stream = (await operator.inspect()).streams.find(({ name }) => name === 'MAIL_LOCAL')
    return stream?.messages === 1 && stream.consumers[0]?.pending === 1
  })
  const before = await operator.inspect()
  assert.deepEqual(
    before.streams.filter(({ missing, differs }) => missing || differs.length > 0),
    [],
  )
  const lanes = before.streams.find(({ name }) => name === 'MAIL_OUT_0')?.consumers
  assert.equal(lanes?.length, LANES)
  assert.ok(lanes.every(({ missing, pulls }) => !missing && pulls === 0))
  const waiting = before.streams.find(({ name }) => name === 'MAIL_LOCAL')
  assert.deepEqual([waiting?.messages, waiting?.consumers[0]?.pending, waiting?.consumers[0]?.pulls], [1, 1, 0])
  assert.ok(waiting?.firstAt && Math.abs(Date.parse(before.time ?? '') - Date.now()) < 60_000)
  assert.ok(before.storage.bytes > 0 && before.server.version !== '')

  const done = Promise.withResolvers<void>()
  await mailstore.consume(MailLocal, 'mailstore', { maxInFlight: 4 }, async () => {
    done.resolve()
    return { kind: 'done' }
  })
  await done.promise
  await until(async () => {
    const [consumer] = (await operator.inspect()).streams.find(({ name }) => name === 'MAIL_LOCAL')?.consumers ?? []
    return consumer?.pending === 0 && consumer.inHand === 0 && consumer.pulls > 0 && consumer.lastAckAt !== null
  })
})

test('a stream that is not as the contracts say, and what is missing, are named', async (t) => {
  const nats = await startNatsServer(t, { shards: 2 })
  const signal = new AbortController().signal
  const provisioner = await keepProvisioned({
    ...{ servers: nats.url, nkeySeed: nats.seeds.provisioner, log, signal },
    ...{ shards: 1, maxBytes: { MAIL_LOCAL: 1024 * 1024 } },
  })
  const operator = await connectBus({
    ...{ servers: nats.url, nkeySeed: nats.seeds.operator, party: 'operator', log, shards: 2 },
  })
  nats.defer(() => Promise.all([operator.close(), provisioner.stop()]))
  const { streams } = await operator.inspect()
  assert.deepEqual(
    streams.filter(({ differs }) => differs.length > 0).map(({ name, differs, maxBytes }) => [name, differs, maxBytes]),
    [['MAIL_LOCAL', ['max_bytes'], 1024 * 1024]],
  )
  const absent = streams.filter(({ missing }) => missing)
  assert.deepEqual(
    absent.map(({ name }) => name),
    ['MAIL_OUT_1'],
  )
  assert.equal(absent[0]?.consumers.filter(({ missing }) => missing).length, LANES / 2)
})

test('a service may not look at all of it', async (t) => {
  const { bus } = await platform(t)
  await assert.rejects((await bus('imap')).inspect(), BusUnavailable)
})
