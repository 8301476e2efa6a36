/**
 * Every event that is published is published a second time, under a message id nobody has seen: the streams take it for another
 * message. Mailboxes and the next hop have one copy all the same, and the books close.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { headers, type Msg, type NatsConnection } from '@nats-io/transport-node'

import { until } from '../platform.ts'
import { administrator, managerOf } from '../raw-bus.ts'
import { keepPromises, long, platformUnderLoad } from '../under-load.ts'

const AGAIN = 'Scenario-Again'
const EVENTS = ['mail.accepted.v1.>', 'mail.local.v1.>', 'mail.out.v1.>', 'mail.status.v1.>', 'mail.hold.v1.>']
const CLOSED_MS = 180_000

/** @returns how many, by the first tokens of their subject */
function publishTwice(connection: NatsConnection): Map<string, number> {
  const counts = new Map<string, number>()
  const again = (message: Msg): void => {
    if (message.headers?.get(AGAIN)) return
    const header = headers()
    for (const [name, values] of message.headers ?? []) for (const value of values) header.append(name, value)
    header.set('Nats-Msg-Id', `again-${message.headers?.get('Nats-Msg-Id')}`)
    header.set(AGAIN, 'yes')
    connection.publish(message.subject, message.data, { headers: header })
    const kind = message.subject.replace(/\.v1\.(\d+\.[qsx]\.)?.*/, (_, shard: string) => (shard ? `.${shard[2]}` : ''))
    counts.set(kind, (counts.get(kind) ?? 0) + 1)
  }
  for (const subject of EVENTS) {
    connection.subscribe(subject, { callback: (error, message) => void (error ?? again(message)) })
  }
  return counts
}

test('every event published a second time under another id: one copy everywhere, and the books close', async (t) => {
  const admin = administrator()
  const it = await platformUnderLoad(t, {}, { args: admin.args })
  const connection = await admin.connect(it.platform.ready())
  t.after(() => connection.close())
  const counts = publishTwice(connection)
  await connection.flush()
  const { accepted, twiceAtTheSink } = await keepPromises(t, it, {
    faults: [],
    messages: long ? 3000 : 800,
    injected: () => [...counts.values()].reduce((sum, count) => sum + count, 0),
  })
  // What was on its way to us has come.
  await connection.flush()
  t.diagnostic(`published again: ${[...counts].map(([kind, count]) => `${kind} ${count}`).join(', ')}`)
  assert.equal(twiceAtTheSink, 0)
  for (const kind of ['mail.accepted', 'mail.local', 'mail.out.q', 'mail.out.s', 'mail.status']) {
    assert.ok((counts.get(kind) ?? 0) > 0, `no ${kind} was published again`)
  }
  assert.ok((counts.get('mail.accepted') ?? 0) >= accepted)
  const { streams } = await managerOf(connection)
  await until(
    async () => {
      const left = ['MAIL_ACCEPTED', 'MAIL_LOCAL', 'MAIL_OUT_0', 'MAIL_STATUS', 'MAIL_DEAD'].map(async (name) => {
        const { state } = await streams.info(name)
        return state.messages
      })
      return (await Promise.all(left)).every((count) => count === 0)
    },
    CLOSED_MS,
    () => 'something is left on the bus',
  )
})
