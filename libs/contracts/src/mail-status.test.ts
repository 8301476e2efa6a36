import assert from 'node:assert/strict'
import { test } from 'node:test'

import { QueueId } from './envelope.ts'
import { MAX_STATUS_BYTES, MAX_STATUSES, MailStatus, statusMessages, type Status } from './mail-status.ts'
import { bucketOf, recipientKey } from './subjects.ts'

const queueId = QueueId.parse('01J9ZK3V8Q6X4T2M7N5R1C0B9A')
const at = '2026-01-05T10:00:00Z'

const delivered = (index: number): Status => ({
  kind: 'delivered',
  queueId,
  incarnation: 0,
  at,
  n: recipientKey('a@example.org', String(index)),
  attempt: 0,
  account: 'account1',
})

test('statuses are cut by number, and keep their order', () => {
  const statuses = Array.from({ length: MAX_STATUSES + 1 }, (_, index) => delivered(index))
  const messages = statusMessages(statuses)
  assert.deepEqual(
    messages.map((message) => message.statuses.length),
    [MAX_STATUSES, 1],
  )
  assert.deepEqual(
    messages.flatMap((message) => message.statuses),
    statuses,
  )
  assert.ok(messages.every(({ bucket }) => bucket === bucketOf(queueId)))
})

test('the longest pages a router may write stay below what the bus carries', () => {
  const path = 'ü'.repeat(1024)
  const page = (number: number): Status => ({
    kind: 'routed',
    queueId,
    incarnation: 0,
    at,
    original: 0,
    originals: 1,
    page: number,
    pages: 3,
    recipients: Array.from({ length: 100 }, (_, index) => ({
      n: recipientKey(path, String(index)),
      forwardPath: path,
      reversePath: path,
      destination: { kind: 'ended' as const },
    })),
  })
  const messages = statusMessages([page(1), page(2), page(3), delivered(0)])
  for (const message of messages) {
    MailStatus.schema.parse(message)
    assert.ok(Buffer.byteLength(JSON.stringify(message)) < 1024 * 1024)
    if (message.statuses.length > 1) assert.ok(Buffer.byteLength(JSON.stringify(message)) <= MAX_STATUS_BYTES + 1024)
  }
})
