import assert from 'node:assert/strict'
import { test } from 'node:test'

import { MailAccepted, MailLocal } from '@postbus/contracts'

import { accepted, local, platform, queueIdOf, until } from './harness.ts'

test('an event published is handled once and then gone', async (t) => {
  const { bus } = await platform(t)
  const submission = await bus('submission')
  const router = await bus('router')
  const custody = await bus('custody')
  const seen: string[] = []
  await router.consume(MailAccepted, 'router', { maxInFlight: 8 }, async ({ queueId }) => {
    seen.push(queueId)
    return { kind: 'done' }
  })
  await Promise.all(Array.from({ length: 100 }, (_, n) => submission.publish(MailAccepted, accepted(n))))
  await until(() => seen.length === 100)
  assert.equal(new Set(seen).size, 100)
  await until(async () => !(await custody.holds(MailAccepted, MailAccepted.subject(accepted(99)))))
})

test('the same event published twice is one event', async (t) => {
  const { bus } = await platform(t)
  const submission = await bus('submission')
  const router = await bus('router')
  await submission.publish(MailAccepted, accepted(1))
  await submission.publish(MailAccepted, accepted(1))
  await submission.publish(MailAccepted, accepted(2))
  const seen: string[] = []
  await router.consume(MailAccepted, 'router', { maxInFlight: 8 }, async ({ queueId }) => {
    seen.push(queueId)
    return { kind: 'done' }
  })
  await until(() => seen.length === 2)
  assert.deepEqual(seen, [queueIdOf(1), queueIdOf(2)])
})

test('no more than maxInFlight events are in hand', async (t) => {
  const { bus } = await platform(t)
  const router = await bus('router')
  const mailstore = await bus('mailstore')
  await Promise.all(Array.from({ length: 50 }, (_, n) => router.publish(MailLocal, local(n))))
  let running = 0
  let most = 0
  let done = 0
  const full = Promise.withResolvers<void>()
  await mailstore.consume(MailLocal, 'mailstore', { maxInFlight: 5 }, async () => {
    most = Math.max(most, ++running)
    if (running === 5) full.resolve()
    // The first ones until there are as many as there may be, however slowly they come.
    await full.promise
    await new Promise((resolve) => setImmediate(resolve))
    running--
    done++
    return { kind: 'done' }
  })
  await until(() => done === 50)
  assert.equal(most, 5)
})

test('a consumer that drains keeps what it works on, and the next one does not get it', async (t) => {
  const { bus } = await platform(t)
  const [publisher, one, other] = await Promise.all([bus('submission'), bus('router'), bus('router')])
  const working = Promise.withResolvers<void>()
  const begun: string[] = []
  const first = await one.consume(MailAccepted, 'router', { maxInFlight: 2 }, async ({ queueId }, { signal }) => {
    begun.push(queueId)
    if (queueId === queueIdOf(1)) await working.promise
    else await new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
    return { kind: 'done' }
  })
  await publisher.publish(MailAccepted, accepted(1))
  await publisher.publish(MailAccepted, accepted(2))
  await until(() => begun.length === 2)
  let drained = false
  const draining = first.drain().then(() => (drained = true))
  const next: string[] = []
  await other.consume(MailAccepted, 'router', { maxInFlight: 2 }, async ({ queueId }) => {
    next.push(queueId)
    return { kind: 'done' }
  })
  await publisher.publish(MailAccepted, accepted(3))
  await until(() => next.length === 2)
  assert.deepEqual(next.toSorted(), [queueIdOf(2), queueIdOf(3)])
  assert.equal(drained, false)
  working.resolve()
  await draining
  await publisher.publish(MailAccepted, accepted(4))
  await until(() => next.includes(queueIdOf(4)))
  assert.equal(next.includes(queueIdOf(1)), false)
})
