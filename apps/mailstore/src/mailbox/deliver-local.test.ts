import assert from 'node:assert/strict'
import { test } from 'node:test'

import { MailLocal } from '@postbus/contracts'
import { sortKeysOf } from '@postbus/message'

import type { StoredContent } from './content.ts'
import { deliverLocal, deliveryFields, type DeliverPorts } from './deliver-local.ts'
import type { Delivered, Delivery } from './storage.ts'

const task = MailLocal.schema.parse({
  queueId: '01J9ZK3V8Q6X4T2M7N5R1C0B9A',
  incarnation: 0,
  acceptedAt: '2026-01-05T10:00:00Z',
  origin: 'inbound',
  size: 100,
  smtputf8: false,
  requireTls: false,
  n: '0123456789abcdef',
  reversePath: 'ann@example.net',
  original: { forwardPath: 'smith@example.org' },
  forwardPath: 'smith@example.org',
  account: 'smith000',
})

const content: StoredContent = {
  queueId: task.queueId,
  size: 100,
  headerSize: 50,
  sort: sortKeysOf(new Uint8Array()),
  envelope: '',
  wireStructure: '',
  wireBody: '',
  structure: '',
  header: new Uint8Array(50),
  body: new Uint8Array(50),
  blob: null,
}

function fakes(answers: Delivered[], more: Partial<DeliverPorts> = {}) {
  const log: string[] = []
  const deliveries: Delivery[] = []
  const ports: DeliverPorts = {
    known: async () => ({ deliveredAt: null, content: null }),
    describeAccount: async () => ({ address: 'Smith@example.org', quotaBytes: 1000 }),
    content: async () => {
      log.push('opened')
      return { content, release: async (fate) => void log.push(fate) }
    },
    deliver: async (delivery) => {
      deliveries.push(delivery)
      const answer = answers.shift()
      if (answer === undefined) throw new Error('disk')
      return answer
    },
    now: () => 5,
    ...more,
  }
  return { ports, log, deliveries }
}

const delivered = (contentUsed: boolean): Delivered => ({ kind: 'delivered', mailbox: 1, uid: 1, contentUsed })

test('a message known as delivered is not read again', async () => {
  const { ports, log } = fakes([], { known: async () => ({ deliveredAt: 1, content: null }) })
  assert.deepEqual(await deliverLocal(task, ports), { kind: 'delivered', repeat: true })
  assert.deepEqual(log, [])
})

test('the reverse-path and the address go in front of the message', async () => {
  const { ports, deliveries, log } = fakes([delivered(true)])
  assert.deepEqual(await deliverLocal(task, ports), { kind: 'delivered', repeat: false })
  assert.equal(
    Buffer.from(deliveries[0]?.prefix ?? []).toString(),
    'Return-Path: <ann@example.net>\r\nDelivered-To: Smith@example.org\r\n',
  )
  assert.deepEqual(log, ['opened', 'stored'])
  assert.match(Buffer.from(deliveryFields({ reversePath: '' }, 'x@y')).toString(), /^Return-Path: <>\r\n/)
})

test("another recipient's content is shown without opening the spool", async () => {
  const known = { deliveredAt: null, content: { content: 7, size: 100 } }
  const { ports, deliveries, log } = fakes([delivered(false)], { known: async () => known })
  await deliverLocal(task, ports)
  assert.equal(deliveries[0]?.content, 7)
  assert.deepEqual(log, [])
})

test('known content that is gone by then is read from the spool', async () => {
  const known = { deliveredAt: null, content: { content: 7, size: 100 } }
  const { ports, deliveries, log } = fakes([{ kind: 'contentGone' }, delivered(true)], { known: async () => known })
  assert.equal((await deliverLocal(task, ports)).kind, 'delivered')
  assert.equal(deliveries[1]?.content, content)
  assert.deepEqual(log, ['opened', 'stored'])
})

test('over quota fails for good, and says which rule', async () => {
  const { ports, log } = fakes([{ kind: 'overQuota', usedBytes: 950 }])
  const outcome = await deliverLocal(task, ports)
  assert.ok(outcome.kind === 'failed')
  assert.deepEqual([outcome.status, outcome.rule], ['5.2.2', 'quota'])
  assert.deepEqual(log, ['opened', 'notStored'])
})

test('only the word of the directory makes an account unknown', async () => {
  const gone = fakes([], { describeAccount: async () => null })
  const outcome = await deliverLocal(task, gone.ports)
  assert.ok(outcome.kind === 'failed')
  assert.equal(outcome.status, '5.1.1')

  const silent = fakes([], { describeAccount: () => Promise.reject(new Error('no answer')) })
  await assert.rejects(deliverLocal(task, silent.ports), /no answer/)
})

test('after a failed write the bytes are kept: it may have been done', async () => {
  const { ports, log } = fakes([])
  await assert.rejects(deliverLocal(task, ports), /disk/)
  assert.deepEqual(log, ['opened', 'unknown'])
})
