/** Delivery through its front door: a real bus, a real spool, and an SMTP sink as the smarthost. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { laneOf } from '@postbus/contracts'
import type { SmtpSink } from '@postbus/testkit'

import { platform, queueId, type RecipientStatus } from './platform.ts'

const kinds = (statuses: RecipientStatus[]): string[] => statuses.map(({ kind }) => kind).sort()
const texts = ({ messages }: SmtpSink): string[] => messages.map(({ data }) => data.toString())

test('recipients of one message and site travel together, and each is told', { timeout: 60_000 }, async (t) => {
  const { sink, delivery, send, until, statuses } = await platform(t)
  await delivery()
  await send(queueId(1), ['ann@far.test', 'bob@far.test', 'permfail@far.test'])
  await until(() => statuses.length === 3)
  assert.deepEqual(kinds(statuses), ['failed', 'relayed', 'relayed'])
  assert.deepEqual(texts(sink), [`Subject: ${queueId(1)}\r\n\r\nhello\r\n`])
  assert.equal(sink.messages[0]?.recipients.length, 2)
})

test(
  'a greylisted recipient is tried again when its schedule fires, and only that one',
  {
    timeout: 60_000,
  },
  async (t) => {
    const { sink, delivery, send, until, statuses } = await platform(t)
    await delivery()
    await send(queueId(1), ['ann@far.test', 'greylist@far.test'])
    await until(() => statuses.filter(({ kind }) => kind === 'relayed').length === 2)
    assert.deepEqual(kinds(statuses), ['deferred', 'relayed', 'relayed'])
    assert.deepEqual(
      sink.messages.flatMap(({ recipients }) => recipients.map(({ forwardPath }) => forwardPath)).sort(),
      ['ann@far.test', 'greylist@far.test'],
    )
    const last = statuses.find((status) => status.kind === 'relayed' && status.attempt === 2)
    assert.ok(last)
  },
)

test('a recipient that never gets through expires', { timeout: 60_000 }, async (t) => {
  const { delivery, send, until, statuses } = await platform(t)
  await delivery()
  await send(queueId(1), ['tempfail@far.test'], { expiresAt: new Date(Date.now() + 700).toISOString() })
  await until(() => statuses.some(({ kind }) => kind === 'expired'))
  assert.ok(statuses.every(({ kind }) => kind === 'deferred' || kind === 'expired'))
})

test(
  'one replica owns a lane; when it stops the other goes on, and nobody is written to twice',
  {
    timeout: 90_000,
  },
  async (t) => {
    const { sink, delivery, send, until, statuses } = await platform(t)
    const [one] = [await delivery(), await delivery()]
    const relayed = () => statuses.filter(({ kind }) => kind === 'relayed').length
    for (let number = 1; number <= 20; number++) await send(queueId(number), [`ann@site${number}.test`])
    await until(() => relayed() === 20)
    await one.stop()
    for (let number = 21; number <= 40; number++) await send(queueId(number), [`ann@site${number}.test`])
    await until(() => relayed() === 40)
    assert.ok(new Set(Array.from({ length: 40 }, (_, index) => laneOf(`site${index + 1}.test`))).size > 10)
    assert.equal(new Set(texts(sink)).size, 40)
    assert.equal(sink.messages.length, 40)
  },
)

test('what a site does not take waits for it, and the others go on', { timeout: 60_000 }, async (t) => {
  const { sink, delivery, send, until, statuses } = await platform(t)
  await delivery()
  await sink.close()
  await send(queueId(1), ['ann@far.test'])
  await until(() => statuses.some(({ kind }) => kind === 'deferred'))
  assert.equal(statuses[0]?.kind === 'deferred' && statuses[0].status, '4.4.1')
  await sink.reopen()
  await until(() => statuses.some(({ kind }) => kind === 'relayed'))
  assert.equal(sink.messages.length, 1)
})
