/** Single messages by name: looked up, moved out of their schedule, cancelled, removed. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { holdSubject, laneOf, MailHold, MailOut, MailOutCancelled, MailOutLater } from '@postbus/contracts'

import { ScheduleGone } from '../src/index.ts'
import { local, platform, until } from './harness.ts'
import { messagesIn } from './raw.ts'

const lane = laneOf('example.com')
const task = (number: number, attempt = 1): MailOut =>
  MailOut.schema.parse({
    ...local(number),
    site: 'example.com',
    shard: 0,
    attempt,
    expiresAt: '2026-01-10T10:00:00Z',
  })
const schedule = (event: MailOut, afterMs: number) => ({
  schedule: { at: new Date(Date.now() + afterMs), target: MailOut.subject(event) },
})
const HOUR_MS = 3_600_000

test('a message is found by its subject, the last one where there are several', async (t) => {
  const { bus } = await platform(t)
  const delivery = await bus('delivery')
  assert.equal(await delivery.lookUp(MailOut, MailOut.subject(task(1))), null)
  await delivery.publish(MailOut, task(1))
  const first = await delivery.lookUp(MailOut, MailOut.subject(task(1)))
  await delivery.publish(MailOut, task(1, 2))
  const second = await delivery.lookUp(MailOut, MailOut.subject(task(1)))
  assert.deepEqual([first?.event, second?.event], [task(1), task(1, 2)])
  assert.ok(first && second && second.sequence > first.sequence)
})

test('a schedule becomes work in one step, and only while it is still that schedule', async (t) => {
  const { nats, bus } = await platform(t)
  const delivery = await bus('delivery')
  const subject = MailOutLater.subject(task(1))
  await delivery.publish(MailOutLater, task(1, 2), schedule(task(1, 2), HOUR_MS))
  const older = await delivery.lookUp(MailOutLater, subject)
  await delivery.publish(MailOutLater, task(1, 3), schedule(task(1, 3), HOUR_MS))
  const newer = await delivery.lookUp(MailOutLater, subject)
  assert.ok(older && newer)
  const move = (sequence: number) => delivery.publish(MailOut, task(1, 4), { cancels: { subject, sequence } })
  await assert.rejects(move(older.sequence), ScheduleGone)
  assert.equal(await delivery.lookUp(MailOut, MailOut.subject(task(1))), null)
  await move(newer.sequence)
  await assert.rejects(move(newer.sequence), ScheduleGone)
  assert.equal(await delivery.lookUp(MailOutLater, subject), null)
  assert.equal(await messagesIn(nats, 'MAIL_OUT_0'), 1)
})

test('a schedule that has fired is not there to be cancelled, and its task is not lost', async (t) => {
  const { bus } = await platform(t)
  const delivery = await bus('delivery')
  const arrived: number[] = []
  await delivery.consume(MailOut, 'delivery', { maxInFlight: 4, tokens: { lane, shard: '0' } }, async ({ attempt }) => {
    arrived.push(attempt)
    return { kind: 'done' }
  })
  const subject = MailOutLater.subject(task(1))
  await delivery.publish(MailOutLater, task(1, 2), schedule(task(1, 2), 1000))
  const found = await delivery.lookUp(MailOutLater, subject)
  assert.ok(found)
  await until(() => arrived.length === 1)
  const cancels = { subject, sequence: found.sequence }
  await assert.rejects(delivery.publish(MailOut, task(1, 3), { cancels }), ScheduleGone)
  assert.deepEqual(arrived, [2])
})

test('a tombstone takes the place of whatever schedule there is, whether there is one or not', async (t) => {
  const { nats, bus } = await platform(t)
  const delivery = await bus('delivery')
  const subject = MailOutLater.subject(task(1))
  await delivery.publish(MailOutLater, task(1, 2), schedule(task(1, 2), HOUR_MS))
  for (const attempt of [2, 3]) {
    await delivery.publish(MailOutCancelled, { ...task(1), attempt }, { cancels: { subject } })
    assert.equal(await delivery.lookUp(MailOutLater, subject), null)
  }
  assert.equal(await messagesIn(nats, 'MAIL_OUT_0'), 2)
})

test('a held task is removed by its sequence, once', async (t) => {
  const { nats, bus } = await platform(t)
  const delivery = await bus('delivery')
  await delivery.publish(MailHold, { task: task(1), heldAt: '2026-01-05T10:00:00Z', rule: 'operator' })
  const held = await delivery.lookUp(MailHold, holdSubject(task(1)))
  assert.ok(held)
  assert.deepEqual(held.event.task, task(1))
  assert.equal(await delivery.remove(MailHold, held.sequence), true)
  assert.equal(await delivery.remove(MailHold, held.sequence), false)
  assert.equal(await delivery.lookUp(MailHold, holdSubject(task(1))), null)
  assert.equal(await messagesIn(nats, 'MAIL_HOLD'), 0)
})
