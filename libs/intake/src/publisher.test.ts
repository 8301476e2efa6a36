import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'

import { type Bus, BusFull, BusRefused, BusUnavailable } from '@postbus/bus'
import { MailAccepted } from '@postbus/contracts'
import { pino } from 'pino'

import { Publisher, type PublisherLimits } from './publisher.ts'

const accepted = (n: number): MailAccepted =>
  MailAccepted.schema.parse({
    queueId: `01J9ZK3V8Q6X4T2M7N5R1C0B${String(n).padStart(2, '0')}`,
    incarnation: 0,
    acceptedAt: '2026-11-23T10:00:00Z',
    origin: 'inbound',
    size: 10,
    smtputf8: false,
    requireTls: false,
    envelope: { reversePath: '', recipients: [{ forwardPath: 'jones@example.org' }] },
  })

/** A bus that answers as told, one answer per publication; the last one stands for all later. */
function publisherOn(t: TestContext, answers: (Error | 'hang' | null)[], limits: Partial<PublisherLimits> = {}) {
  const published: string[] = []
  const heard = Promise.withResolvers<void>()
  const publish: Bus['publish'] = (contract, event) => {
    const answer = answers.length > 1 ? answers.shift() : answers[0]
    if (answer === 'hang') return new Promise(() => {})
    if (answer) return Promise.reject(answer)
    const parsed = contract.schema.parse(event)
    published.push(MailAccepted.schema.parse(parsed).queueId)
    heard.resolve()
    return Promise.resolve()
  }
  const all = { publishWaitMs: 20, firstPauseMs: 1, maxUnpublished: 10, drainMs: 50, ...limits }
  const publisher = new Publisher({ publish }, pino({ level: 'silent' }), all)
  t.after(() => publisher.drain())
  return { publisher, published, heard: heard.promise }
}

test('a bus that never answers holds a message up for as long as agreed and no longer', async (t) => {
  const { publisher } = publisherOn(t, ['hang'])
  const begun = performance.now()
  await publisher.publish(accepted(1))
  const took = performance.now() - begun
  assert.ok(took >= 15 && took < 30_000, `${took} ms`)
})

test('what the bus will never take is not tried again in front of the others', async (t) => {
  const { publisher, published, heard } = publisherOn(t, [
    new BusRefused('too large'),
    new BusUnavailable('down'),
    null,
  ])
  await publisher.publish(accepted(1))
  assert.equal(publisher.unpublished, 0)
  await publisher.publish(accepted(2))
  await heard
  assert.deepEqual(published, [accepted(2).queueId])
})

test('more than the agreed number is left to custody', async (t) => {
  const { publisher } = publisherOn(t, [new BusUnavailable('down')], { maxUnpublished: 3, firstPauseMs: 10_000 })
  for (let n = 0; n < 9; n++) await publisher.publish(accepted(n))
  assert.equal(publisher.unpublished, 3)
})

test('a full bus is asked again until it takes, and only room opens the gate', async (t) => {
  const { publisher, published, heard } = publisherOn(t, [
    new BusFull('full'),
    new BusFull('full'),
    new BusUnavailable('down'),
    null,
  ])
  await publisher.publish(accepted(1))
  assert.equal(publisher.full, true)
  await heard
  await publisher.drain()
  assert.deepEqual(published, [accepted(1).queueId])
  assert.equal(publisher.full, false)
})

test('draining goes on publishing, and gives up in time', async (t) => {
  const { publisher, published } = publisherOn(t, [new BusUnavailable('down'), new BusUnavailable('down'), null], {
    drainMs: 5000,
  })
  await publisher.publish(accepted(1))
  await publisher.drain()
  assert.deepEqual(published, [accepted(1).queueId])
  const dead = publisherOn(t, [new BusUnavailable('down')], { drainMs: 10 })
  await dead.publisher.publish(accepted(1))
  const begun = performance.now()
  await dead.publisher.drain()
  assert.ok(performance.now() - begun < 30_000)
})
