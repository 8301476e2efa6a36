/** What cannot be handled ends in MAIL_DEAD, whole, and never comes back. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { jetstreamManager } from '@nats-io/jetstream'
import { headers } from '@nats-io/transport-node'
import { MailAccepted, MailLocal } from '@postbus/contracts'

import { accepted, local, platform, queueIdOf, until } from './harness.ts'
import { dead, messagesIn, raw } from './raw.ts'

test('an event that matches no contract is copied whole, taken off its stream, and does not come again', async (t) => {
  const { nats, bus } = await platform(t)
  const router = await bus('router')
  let handled = 0
  await router.consume(MailAccepted, 'router', { maxInFlight: 4 }, async () => {
    handled++
    return { kind: 'done' }
  })
  const submission = await raw(nats, 'submission')
  t.after(() => submission.close())
  const header = headers()
  header.set('traceparent', '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01')
  submission.publish(`mail.accepted.v1.submission.${queueIdOf(7)}`, `{"queueId":"${queueIdOf(7)}"}`, {
    headers: header,
  })
  submission.publish(`mail.accepted.v1.submission.X`, Uint8Array.from([0xff, 0x00]))
  await until(async () => (await dead(nats)).length === 2)
  // Copied side by side: in either order.
  const copies = await dead(nats)
  const readable = copies.find(({ subject }) => subject.endsWith(queueIdOf(7)))
  const unreadable = copies.find(({ subject }) => subject.endsWith('.X'))
  assert.equal(readable?.reason, 'contract')
  assert.equal(readable.subject, `mail.accepted.v1.submission.${queueIdOf(7)}`)
  assert.equal(Buffer.from(readable.payload, 'base64').toString(), `{"queueId":"${queueIdOf(7)}"}`)
  assert.deepEqual(readable.headers['traceparent'], [header.get('traceparent')])
  assert.equal(readable.id.split('.')[0], queueIdOf(7))
  assert.deepEqual([...Buffer.from(unreadable?.payload ?? '', 'base64')], [0xff, 0x00])
  await until(async () => (await messagesIn(nats, 'MAIL_ACCEPTED')) === 0)
  assert.equal(handled, 0)
})

test('an event its handler rejects is copied once and not handled again', async (t) => {
  const { nats, bus } = await platform(t, { ackWaitMs: 500 })
  const router = await bus('router')
  const mailstore = await bus('mailstore')
  let handled = 0
  await mailstore.consume(MailLocal, 'mailstore', { maxInFlight: 4 }, async () => {
    handled++
    return { kind: 'reject', reason: 'no such account has ever been' }
  })
  await router.publish(MailLocal, local(1))
  await until(async () => (await messagesIn(nats, 'MAIL_LOCAL')) === 0)
  const [copy] = await dead(nats)
  assert.equal(copy?.reason, 'rejected')
  assert.equal(copy.detail, 'no such account has ever been')
  assert.equal(copy.id, `${queueIdOf(1)}.${local(1).n}`)
  assert.equal(handled, 1)
})

test('nothing is taken off its stream before its copy is confirmed', async (t) => {
  const { nats, bus } = await platform(t, { ackWaitMs: 1000 })
  const router = await bus('router')
  const provisioner = await raw(nats, 'provisioner')
  t.after(() => provisioner.close())
  const jsm = await jetstreamManager(provisioner, { checkAPI: false })
  // No room for the copy: MAIL_DEAD takes nothing.
  await jsm.streams.update('MAIL_DEAD', { max_msg_size: 10 })
  await router.consume(MailAccepted, 'router', { maxInFlight: 4 }, async () => ({ kind: 'reject', reason: 'test' }))
  const submission = await bus('submission')
  await submission.publish(MailAccepted, accepted(1))
  await until(async () => (await jsm.consumers.info('MAIL_ACCEPTED', 'router')).num_ack_pending === 1)
  await new Promise((resolve) => setTimeout(resolve, 300))
  assert.equal(await messagesIn(nats, 'MAIL_ACCEPTED'), 1)
  assert.equal((await dead(nats)).length, 0)
})
