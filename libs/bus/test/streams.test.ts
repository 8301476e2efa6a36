/** What the streams do for us: schedules, limits, one per subject; and the provisioner that makes them. */
import assert from 'node:assert/strict'
import { readdir, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'

import { jetstreamManager } from '@nats-io/jetstream'
import {
  laneOf,
  MailAccepted,
  MailHold,
  MailLocal,
  MailOut,
  MailOutLater,
  MailStatus,
  type Status,
} from '@postbus/contracts'

import { startNatsServer } from '@postbus/testkit'

import { BusFull, BusRefused, keepProvisioned, statusWriter } from '../src/index.ts'
import { accepted, local, log, platform, until } from './harness.ts'
import { messagesIn, raw } from './raw.ts'

const out = (number: number, attempt = 1): MailOut =>
  MailOut.schema.parse({
    ...local(number),
    site: 'example.com',
    shard: 0,
    attempt,
    expiresAt: '2026-01-10T10:00:00Z',
  })
const lane = laneOf('example.com')

test('a retry published with a schedule arrives when it is due, as work', async (t) => {
  const { nats, bus } = await platform(t)
  const delivery = await bus('delivery')
  const arrived: { attempt: number; at: number }[] = []
  await delivery.consume(MailOut, 'delivery', { maxInFlight: 4, tokens: { lane, shard: '0' } }, async ({ attempt }) => {
    arrived.push({ attempt, at: Date.now() })
    return { kind: 'done' }
  })
  const due = new Date(Date.now() + 1500)
  const task = out(1, 2)
  await delivery.publish(MailOutLater, task, { schedule: { at: due, target: MailOut.subject(task) } })
  assert.equal(await messagesIn(nats, 'MAIL_OUT_0'), 1)
  await until(() => arrived.length === 1)
  assert.equal(arrived[0]?.attempt, 2)
  assert.ok((arrived[0]?.at ?? 0) >= due.getTime() - 10)
  await until(async () => (await messagesIn(nats, 'MAIL_OUT_0')) === 0)
})

test('a task that would wait for ever, or fire elsewhere, is not published', async (t) => {
  const { bus } = await platform(t)
  const delivery = await bus('delivery')
  const at = new Date(Date.now() + 60_000)
  await assert.rejects(delivery.publish(MailOutLater, out(1)), BusRefused)
  await assert.rejects(delivery.publish(MailOut, out(1), { schedule: { at, target: 'x' } }), BusRefused)
  const elsewhere = { at, target: 'mail.local.v1.X.Y' }
  await assert.rejects(delivery.publish(MailOutLater, out(1), { schedule: elsewhere }), BusRefused)
})

test('a full stream refuses, stores nothing, and says so as what it is', async (t) => {
  const { nats, bus } = await platform(t, { maxBytes: { MAIL_ACCEPTED: 20_000 } })
  const submission = await bus('submission')
  let stored = 0
  await assert.rejects(async () => {
    for (; stored < 1000; stored++) await submission.publish(MailAccepted, accepted(stored))
  }, BusFull)
  assert.equal(await messagesIn(nats, 'MAIL_ACCEPTED'), stored)
})

test('a full account refuses even where the stream has no limit, and queued mail stays', async (t) => {
  const { nats, bus } = await platform(t, {
    maxFileBytes: 200_000,
    maxBytes: { MAIL_ACCEPTED: 10_000, MAIL_LOCAL: 10_000 },
  })
  const delivery = await bus('delivery')
  let stored = 0
  await assert.rejects(async () => {
    for (; stored < 2000; stored++) await delivery.publish(MailOut, out(stored))
  }, BusFull)
  assert.equal(await messagesIn(nats, 'MAIL_OUT_0'), stored)
})

test('new work leaves room on the bus for what ends work, which goes on until there is room for new work again', async (t) => {
  const { bus } = await platform(t, {
    maxFileBytes: 400_000,
    maxBytes: { MAIL_ACCEPTED: 10_000, MAIL_LOCAL: 10_000 },
  })
  const [router, delivery, custody] = await Promise.all([bus('router'), bus('delivery'), bus('custody')])
  let stored = 0
  await assert.rejects(async () => {
    for (; stored < 2000; stored++) await router.publish(MailOut, out(stored))
  }, BusFull)
  await assert.rejects(custody.publish(MailAccepted, accepted(1)), BusFull)
  // Ends every task as delivery does: what follows first, then the acknowledgement.
  const statuses = statusWriter(delivery)
  let ended = 0
  await delivery.consume(MailOut, 'delivery', { maxInFlight: 20, tokens: { lane, shard: '0' } }, async (task) => {
    const { queueId, n, incarnation, attempt } = task
    const outcome = { kind: 'relayed' as const, at: '2026-01-05T10:00:00Z', mxHost: 'mx', reply: '250 ok', dsn: true }
    await statuses.write([{ queueId, n, incarnation, attempt, ...outcome }])
    ended++
    return { kind: 'done' }
  })
  await until(() => ended === stored)
  await until(() =>
    router.publish(MailOut, out(stored + 1)).then(
      () => true,
      () => false,
    ),
  )
})

test('a recipient held twice is held once', async (t) => {
  const { nats, bus } = await platform(t)
  const delivery = await bus('delivery')
  const hold = (rule: string, attempt: number) => ({ task: out(1, attempt), heldAt: '2026-01-05T10:00:00Z', rule })
  await delivery.publish(MailHold, hold('first', 1))
  await delivery.publish(MailHold, hold('second', 2))
  assert.equal(await messagesIn(nats, 'MAIL_HOLD'), 1)
})

test('an event too large to be copied to MAIL_DEAD is never published', async (t) => {
  const { bus } = await platform(t)
  const submission = await bus('submission')
  const event = accepted(1)
  const recipients = Array.from({ length: 600 }, (_, n) => ({ forwardPath: `${'x'.repeat(1000)}${n}@example.org` }))
  await assert.rejects(
    submission.publish(MailAccepted, { ...event, envelope: { ...event.envelope, recipients } }),
    BusRefused,
  )
})

test('statuses of many handlers travel together, and each writer knows when the stream has its own', async (t) => {
  const { nats, bus } = await platform(t)
  const [mailstore, custody] = await Promise.all([bus('mailstore'), bus('custody')])
  const { write } = statusWriter(mailstore)
  const delivered = (number: number): Status => {
    const { queueId, n } = local(number)
    return {
      kind: 'delivered',
      queueId,
      n,
      incarnation: 0,
      attempt: 0,
      at: '2026-01-05T10:00:00Z',
      account: 'account1',
    }
  }
  await Promise.all(Array.from({ length: 2000 }, (_, number) => write([delivered(number)])))
  const messages = await messagesIn(nats, 'MAIL_STATUS')
  assert.ok(messages <= 64 * 5, `${messages} messages for 2000 statuses`)
  const seen = new Set<string>()
  await custody.consume(MailStatus, 'custody', { maxInFlight: 16 }, async ({ statuses }) => {
    for (const { queueId } of statuses) seen.add(queueId)
    return { kind: 'done' }
  })
  await until(() => seen.size === 2000)
})

test('holds: exactly this subject, or not', async (t) => {
  const { bus } = await platform(t)
  const [router, custody] = await Promise.all([bus('router'), bus('custody')])
  await router.publish(MailLocal, local(1))
  await router.publish(MailOut, out(2))
  assert.equal(await custody.holds(MailLocal, MailLocal.subject(local(1))), true)
  assert.equal(await custody.holds(MailLocal, MailLocal.subject(local(2))), false)
  assert.equal(await custody.holds(MailOut, MailOut.subject(out(2)), 0), true)
})

test('provisioning again changes nothing; other limits and waits are taken over; the messages stay', async (t) => {
  const { nats, bus } = await platform(t)
  const submission = await bus('submission')
  await submission.publish(MailAccepted, accepted(1))
  const nc = await raw(nats, 'provisioner')
  t.after(() => nc.close())
  const jsm = await jetstreamManager(nc, { checkAPI: false })
  const before = await jsm.streams.info('MAIL_ACCEPTED')
  const again = async (more: object) => {
    const stopping = new AbortController()
    const provisioner = await keepProvisioned({
      ...{ servers: nats.url, nkeySeed: nats.seeds.provisioner, shards: 1, log, signal: stopping.signal },
      ...more,
    })
    await provisioner.stop()
  }
  await again({})
  assert.deepEqual((await jsm.streams.info('MAIL_ACCEPTED')).config, before.config)
  await again({ maxBytes: { MAIL_ACCEPTED: 1_000_000 }, ackWaitMs: 7000 })
  const after = await jsm.streams.info('MAIL_ACCEPTED')
  assert.equal(after.config.max_bytes, 1_000_000)
  assert.equal(after.state.messages, 1)
  assert.equal((await jsm.consumers.info('MAIL_ACCEPTED', 'router')).config.ack_wait, 7_000_000_000)
})

test('no stream begins its numbers where an earlier one of its name has been', async (t) => {
  const { nats, bus } = await platform(t)
  const submission = await bus('submission')
  const sequences = async () => {
    const nc = await raw(nats, 'provisioner')
    const { state } = await (await jetstreamManager(nc, { checkAPI: false })).streams.info('MAIL_ACCEPTED')
    await nc.close()
    return state
  }
  for (let n = 0; n < 10; n++) await submission.publish(MailAccepted, accepted(n))
  const { last_seq: lastBefore } = await sequences()
  await nats.kill()
  await nats.start({ wipe: true })
  await submission.publish(MailAccepted, accepted(10))
  const { first_seq: firstAfter } = await sequences()
  assert.ok(firstAfter > lastBefore)
  assert.ok(Number.isSafeInteger(firstAfter))
})

test('provisioned resolves when the streams are there, not before', async (t) => {
  const { nats, bus } = await platform(t)
  const submission = await bus('submission')
  await submission.provisioned([MailAccepted], t.signal)
  await nats.kill()
  const waiting = submission.provisioned([MailAccepted], t.signal)
  assert.equal(await Promise.race([waiting.then(() => 'there'), Promise.resolve('not yet')]), 'not yet')
  await nats.start({ wipe: true })
  await waiting
  await submission.publish(MailAccepted, accepted(1))
})

test('a stream names every subject it holds a message on, and says which stream it is', async (t) => {
  const { nats, bus } = await platform(t)
  const router = await bus('router')
  const custody = await bus('custody')
  await Promise.all(Array.from({ length: 300 }, (_, number) => router.publish(MailLocal, local(number))))
  const subjects = (await Array.fromAsync(custody.subjects(MailLocal))).flat()
  assert.deepEqual(
    subjects.toSorted(),
    Array.from({ length: 300 }, (_, number) => MailLocal.subject(local(number))).toSorted(),
  )
  assert.deepEqual(await Array.fromAsync(custody.subjects(MailHold)), [])
  const before = await custody.streamState(MailLocal)
  await nats.kill()
  await nats.start({ wipe: true })
  await custody.provisioned([MailLocal], new AbortController().signal)
  const after = await custody.streamState(MailLocal)
  assert.notEqual(after.createdAt, before.createdAt)
})

test('a consumer has read up to what it is done with in order; with nothing left to do, to the end', async (t) => {
  const { nats, bus } = await platform(t)
  const router = await bus('router')
  const mailstore = await bus('mailstore')
  const state = () => mailstore.readingState(MailLocal, 'mailstore')
  const { lastSequence: begin, readTo } = await state()
  assert.equal(readTo, begin)
  for (let number = 0; number < 4; number++) await router.publish(MailLocal, local(number))
  const release = Promise.withResolvers<void>()
  const reading = await mailstore.consume(MailLocal, 'mailstore', { maxInFlight: 10 }, async ({ queueId }) => {
    if (queueId === local(2).queueId) await release.promise
    return { kind: 'done' }
  })
  await until(async () => (await messagesIn(nats, 'MAIL_LOCAL')) === 1)
  assert.partialDeepStrictEqual(await state(), { lastSequence: begin + 4, readTo: begin + 2 })
  release.resolve()
  await until(async () => (await messagesIn(nats, 'MAIL_LOCAL')) === 0)
  await until(async () => (await state()).readTo === begin + 4)
  await reading.stop()
})

for (const streamToo of [false, true]) {
  const name = streamToo ? 'a stream lost its name and its consumer its state' : 'a consumer lost its state'
  test(`${name} in a loss of power: set aside, and made anew`, async (t) => {
    const nats = await startNatsServer(t)
    const provision = (storeDir?: string) =>
      keepProvisioned({
        ...{ servers: nats.url, nkeySeed: nats.seeds.provisioner, shards: 1, storeDir, log },
        signal: new AbortController().signal,
      })
    await (await provision()).stop()
    await nats.kill('SIGTERM')
    const stream = join(nats.storeDir, 'jetstream', 'MAIL', 'streams', 'MAIL_OUT_0')
    const state = join(stream, 'obs', 'lane-03', 'o.dat')
    await writeFile(state, Buffer.alloc((await stat(state)).size))
    if (streamToo) await rm(join(stream, 'meta.inf'))
    await nats.start()

    const provisioner = await provision(nats.storeDir)
    nats.defer(() => provisioner.stop())
    const connection = await raw(nats, 'provisioner')
    nats.defer(() => connection.close())
    const { consumers } = await jetstreamManager(connection, { checkAPI: false })
    assert.equal((await consumers.info('MAIL_OUT_0', 'lane-03')).num_pending, 0)
    const kept = await readdir(join(nats.storeDir, 'set-aside'))
    assert.match(kept.join(), /^MAIL_OUT_0\.lane-03\.\d+$/)
  })
}
