/** A consumer whose handler, dependency, broker, stream or time fails. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'

import { connect, nkeyAuthenticator } from '@nats-io/transport-node'
import { MailAccepted, MailLocal } from '@postbus/contracts'

import { BusUnavailable, DependencyUnavailable } from '../src/index.ts'
import { accepted, local, platform, until } from './harness.ts'
import { messagesIn } from './raw.ts'

const API_TIMEOUT_MS = 30_000

test('while a dependency is down nothing more is pulled, nothing is counted, and all is handled when it is back', async (t) => {
  const { bus } = await platform(t, { ackWaitMs: 1200 })
  const router = await bus('router')
  const mailstore = await bus('mailstore')
  await Promise.all(Array.from({ length: 40 }, (_, n) => router.publish(MailLocal, local(n))))
  let down = true
  const begun = new Set<string>()
  const done: number[] = []
  await mailstore.consume(MailLocal, 'mailstore', { maxInFlight: 4 }, async ({ n }, { deliveries }) => {
    begun.add(n)
    if (down) throw new DependencyUnavailable('the disk is away')
    done.push(deliveries)
    return { kind: 'done' }
  })
  await until(() => begun.size === 4)
  // Several times the time after which a message without a sign of life would be delivered again.
  await delay(3000)
  assert.equal(begun.size, 4)
  down = false
  await until(() => done.length === 40)
  assert.deepEqual(new Set(done), new Set([1]))
})

test('an event whose handler takes long is kept alive and handled once', async (t) => {
  const { bus } = await platform(t, { ackWaitMs: 1000 })
  const router = await bus('router')
  const [one, other] = await Promise.all([bus('mailstore'), bus('mailstore')])
  let begun = 0
  let done = 0
  for (const mailstore of [one, other]) {
    await mailstore.consume(MailLocal, 'mailstore', { maxInFlight: 4 }, async () => {
      begun++
      await delay(2500)
      done++
      return { kind: 'done' }
    })
  }
  await router.publish(MailLocal, local(1))
  await until(() => done === 1)
  await delay(1200)
  assert.equal(begun, 1)
})

test('a handler that throws is tried again, and an event it cannot handle does not hold up the others', async (t) => {
  const { bus } = await platform(t)
  const router = await bus('router')
  const mailstore = await bus('mailstore')
  const tries = new Map<string, number>()
  const done = new Set<string>()
  await mailstore.consume(MailLocal, 'mailstore', { maxInFlight: 1 }, async ({ n }) => {
    const count = (tries.get(n) ?? 0) + 1
    tries.set(n, count)
    if (n === local(0).n && count < 5) throw new Error('a bug')
    done.add(n)
    return { kind: 'done' }
  })
  for (let n = 0; n < 5; n++) await router.publish(MailLocal, local(n))
  await until(() => done.size === 4)
  assert.equal(done.has(local(0).n), false)
  await until(() => done.size === 5)
})

test('a stop waits for what is in hand and gives the rest back at once', async (t) => {
  const { bus } = await platform(t, { ackWaitMs: 120_000 })
  const router = await bus('router')
  const leaving = await bus('mailstore', { drainDeadlineMs: 300 })
  const finish = Promise.withResolvers<void>()
  const finished: string[] = []
  const begun = new Set<string>()
  const consumption = await leaving.consume(MailLocal, 'mailstore', { maxInFlight: 3 }, async ({ n }, { signal }) => {
    begun.add(n)
    // One ends in time, one heeds the signal, one does neither.
    if (n === local(0).n) await finish.promise
    else if (n === local(1).n)
      await new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
    else await new Promise(() => {})
    finished.push(n)
    return { kind: 'done' }
  })
  await Promise.all([0, 1, 2].map((n) => router.publish(MailLocal, local(n))))
  await until(() => begun.size === 3)
  const stopped = consumption.stop()
  finish.resolve()
  await stopped
  assert.deepEqual(finished, [local(0).n])
  // Not after its 120 s without a sign of life: at once.
  const seen = new Set<string>()
  const staying = await bus('mailstore')
  await staying.consume(MailLocal, 'mailstore', { maxInFlight: 3 }, async ({ n }) => {
    seen.add(n)
    return { kind: 'done' }
  })
  await until(() => seen.size === 2)
  assert.deepEqual(seen, new Set([local(1).n, local(2).n]))
})

test('the broker killed and started again: everything confirmed is handled', async (t) => {
  const { nats, bus } = await platform(t, { ackWaitMs: 1000 })
  const submission = await bus('submission')
  const router = await bus('router')
  const seen = new Set<string>()
  await router.consume(MailAccepted, 'router', { maxInFlight: 16 }, async ({ queueId }) => {
    await delay(5)
    seen.add(queueId)
    return { kind: 'done' }
  })
  const confirmed: string[] = []
  const publishing = Promise.all(
    Array.from({ length: 300 }, async (_, n) => {
      await delay(n * 5)
      await submission.publish(MailAccepted, accepted(n))
      confirmed.push(accepted(n).queueId)
    }),
  )
  for (let kill = 0; kill < 2; kill++) {
    await delay(400)
    await nats.kill('SIGKILL')
    await nats.start()
  }
  await publishing
  assert.equal(confirmed.length, 300)
  await until(() => seen.size === 300)
})

test('streams deleted under load: publishing and consuming recover, and nothing confirmed after they are back is lost', async (t) => {
  const { nats, bus } = await platform(t, { ackWaitMs: 1000 })
  const submission = await bus('submission')
  const router = await bus('router')
  const seen = new Set<string>()
  await router.consume(MailAccepted, 'router', { maxInFlight: 16 }, async ({ queueId }) => {
    await delay(10)
    seen.add(queueId)
    return { kind: 'done' }
  })
  const admin = nkeyAuthenticator(new TextEncoder().encode(nats.adminSeed))
  const nc = await connect({ servers: nats.url, authenticator: admin })
  t.after(() => nc.close())

  let running = true
  let number = 0
  const published = new Map<string, number>()
  const publishing = Promise.all(
    Array.from({ length: 20 }, async () => {
      while (running) {
        const event = accepted(number++)
        const begun = performance.now()
        await submission.publish(MailAccepted, event)
        published.set(event.queueId, begun)
        await delay(20)
      }
    }),
  )
  for (const what of [
    'STREAM.DELETE.MAIL_ACCEPTED',
    'CONSUMER.DELETE.MAIL_ACCEPTED.router',
    'STREAM.DELETE.MAIL_ACCEPTED',
  ]) {
    await delay(500)
    await nc.request(`$JS.API.${what}`, '', { timeout: API_TIMEOUT_MS })
  }
  await until(async () => {
    const answer = await nc.request('$JS.API.CONSUMER.INFO.MAIL_ACCEPTED.router', '', { timeout: API_TIMEOUT_MS })
    return !('error' in answer.json<object>())
  })
  const back = performance.now()
  const sinceThen = () => [...published].filter(([, begun]) => begun > back).map(([queueId]) => queueId)
  await until(() => sinceThen().length > 20)
  running = false
  await publishing
  const afterwards = sinceThen()
  await until(() => afterwards.every((queueId) => seen.has(queueId)))
})

test('a publication without a stream waits for it, and says unavailable when it does not come', async (t) => {
  const { nats, bus } = await platform(t)
  const submission = await bus('submission')
  await nats.kill()
  await assert.rejects(submission.publish(MailAccepted, accepted(1), { deadlineMs: 300 }), BusUnavailable)
  const waiting = submission.publish(MailAccepted, accepted(2), { deadlineMs: 60_000 })
  await nats.start({ wipe: true })
  await waiting
})

test('an event that is delivered again while it is in hand is not handled twice at once', async (t) => {
  const { nats, bus } = await platform(t, { ackWaitMs: 900 })
  const router = await bus('router')
  const mailstore = await bus('mailstore')
  let begun = 0
  const finish = Promise.withResolvers<void>()
  await mailstore.consume(MailLocal, 'mailstore', { maxInFlight: 4 }, async () => {
    begun++
    await finish.promise
    return { kind: 'done' }
  })
  await router.publish(MailLocal, local(1))
  await until(() => begun === 1)
  // No sign of life reaches the server for longer than it waits for one, so it delivers again when it is back.
  await nats.kill()
  await delay(1500)
  await nats.start()
  await router.publish(MailLocal, local(2))
  await until(() => begun === 2)
  await delay(1500)
  assert.equal(begun, 2)
  finish.resolve()
  await until(async () => (await messagesIn(nats, 'MAIL_LOCAL')) === 0)
})

test('an event that keeps failing for want of something of its own does not hold up the others', async (t) => {
  const { bus } = await platform(t)
  const router = await bus('router')
  const mailstore = await bus('mailstore')
  const done = new Set<string>()
  await mailstore.consume(MailLocal, 'mailstore', { maxInFlight: 2 }, async ({ n }) => {
    if (n === local(0).n) throw new DependencyUnavailable('its record is not there yet')
    done.add(n)
    return { kind: 'done' }
  })
  for (let n = 0; n < 30; n++) await router.publish(MailLocal, local(n))
  await until(() => done.size === 29)
})

test('a bus that is closed says so at once to whoever still publishes or asks', async (t) => {
  const { nats, bus } = await platform(t)
  const submission = await bus('submission')
  await nats.kill()
  const waiting = submission.publish(MailAccepted, accepted(1))
  await until(() => !submission.connected)
  await submission.close()
  await assert.rejects(waiting, BusUnavailable)
  await assert.rejects(submission.publish(MailAccepted, accepted(2)), BusUnavailable)
})
