/** `postbus where` through its front door, on a real bus, with a custody that says what the test wants. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { RequestRefused } from '@postbus/bus'
import { findMessages, where } from '@postbus/contracts'
import type { z } from 'zod'

import { call, createdAt, platform } from './platform.ts'

test('where shows every recipient, and a peer’s words cannot drive the terminal', async (t) => {
  const { env, answers } = await platform(t)
  const queueId = '01J9ZK3V8Q6X4T2M7N5R1C0B9A'
  await answers(where, (input): z.input<typeof where.output> => {
    if (input.queueId !== queueId) throw new RequestRefused('noSuchMessage', 'queueId: never seen, or long forgotten')
    return {
      ...{ queueId, origin: 'submission', acceptedAt: createdAt, reversePath: '', size: 2048 },
      originals: [
        { recipient: { forwardPath: 'jones@example.org' }, routed: true },
        { recipient: { forwardPath: 'late@example.org' }, routed: false },
      ],
      recipients: [
        {
          ...{
            n: '0123456789abcdef',
            original: 0,
            forwardPath: 'a@far.test',
            state: 'deferred',
            attempt: 2,
            incarnation: 0,
          },
          ...{ at: createdAt, detail: '450 \u001b[31mtry later', nextAttemptAt: '2026-01-05T11:00:00.000Z' },
        },
      ],
    }
  })
  const { status, out } = await call(['where', queueId.toLowerCase()], env)
  assert.equal(status, 0)
  assert.match(out, /^from +<>$/m)
  assert.match(out, /^late@example\.org +not yet routed/m)
  assert.match(
    out,
    /^a@far\.test +deferred +2026-01-05T10:00:00\.000Z +450 \?\[31mtry later +next 2026-01-05T11:00:00\.000Z$/m,
  )
  assert.equal((await call(['where', '01J9ZK3V8Q6X4T2M7N5R1C0B9B'], env)).status, 1)
})

test('where lists the messages with a Message-ID, and those from and to an address, newest first and each once', async (t) => {
  const { env, answers } = await platform(t)
  const asked: object[] = []
  const message = (last: string, minute: number) => ({
    ...{ queueId: `01J9ZK3V8Q6X4T2M7N5R1C0B9${last}`, reversePath: 'smith@example.org', origin: 'submission' as const },
    ...{ acceptedAt: `2026-01-05T10:0${minute}:00.000Z`, recipients: 2, open: 1, messageId: '<a@example.org>' },
  })
  await answers(findMessages, ({ limit, ...input }): z.input<typeof findMessages.output> => {
    asked.push(input)
    if (input.messageId !== undefined) return { messages: [], more: false }
    return input.sender === undefined
      ? { messages: [message('C', 3), message('A', 1)].slice(0, limit), more: limit < 2 }
      : { messages: [message('B', 2), message('A', 1)].slice(0, limit), more: limit < 2 }
  })
  const ids = (out: string) => [...out.matchAll(/01J9ZK3V8Q6X4T2M7N5R1C0B9(.)/g)].map(([, last]) => last)
  const both = await call(['where', 'smith@example.org', '--after', '2026-01-05T10:00Z'], env)
  assert.deepEqual([both.status, ids(both.out)], [0, ['C', 'B', 'A']])
  assert.doesNotMatch(both.out, /older/)
  const one = await call(['where', 'smith@example.org', '--limit', '1', '--json'], env)
  assert.deepEqual([ids(one.out), JSON.parse(one.out).more], [['C'], true])
  assert.match((await call(['where', '<none@example.org>'], env)).out, /no message known/)
  const after = '2026-01-05T10:00:00.000Z'
  assert.deepEqual(
    [asked.slice(0, 2), asked.at(-1)],
    [
      [
        { sender: 'smith@example.org', after },
        { recipient: 'smith@example.org', after },
      ],
      { messageId: '<none@example.org>' },
    ],
  )
})

test('where shows what others reported later, in their words and as theirs', async (t) => {
  const { env, answers } = await platform(t)
  const queueId = '01J9ZK3V8Q6X4T2M7N5R1C0B9A'
  const report = '01J9ZK3V8Q6X4T2M7N5R1C0B9Z'
  await answers(where, (): z.input<typeof where.output> => ({
    ...{ queueId, origin: 'submission', acceptedAt: createdAt, reversePath: 'smith@example.org', size: 1 },
    originals: [{ recipient: { forwardPath: 'info@example.org' }, routed: true, report }],
    recipients: [
      {
        ...{ n: '0123456789abcdef', original: 0, forwardPath: 'a@far.test', state: 'relayed', attempt: 1 },
        ...{ incarnation: 0, at: createdAt, detail: 'mx.far.test: 250 ok' },
        laterReports: [{ report, at: createdAt, action: 'failed', reason: '550 full', reportingMta: 'in.far.test' }],
      },
    ],
  }))
  const { out } = await call(['where', queueId], env)
  assert.match(out, /^info@example\.org +passed on .*reported in 01J9ZK3V8Q6X4T2M7N5R1C0B9Z$/m)
  assert.match(out, /^a@far\.test +relayed/m)
  assert.match(out, /^a@far\.test +said: failed +\S+ +550 full +in\.far\.test +in 01J9ZK3V8Q6X4T2M7N5R1C0B9Z$/m)
})
