/**
 * A slow site, a dead one and a healthy one in the same lane. Short by default; POSTBUS_TEST_LONG=1 makes it 10,000 messages for
 * each. What the others cost the healthy one is measured by `npm run bench -- lane`: the test runner follows every promise, which
 * makes putting back dearer than it is.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { sitesOfOneLane, startSmtpSink } from '@postbus/testkit'

import { platform, queueId } from './platform.ts'

const LONG = process.env['POSTBUS_TEST_LONG'] !== undefined
const MESSAGES = LONG ? 10_000 : 600
const SLOW_MS = 30_000

/** How many match, looking at each of a growing list once. */
function counting<Item>(items: readonly Item[], matches: (item: Item) => boolean): () => number {
  let seen = 0
  let count = 0
  return () => {
    for (const item of items.slice(seen)) if (matches(item)) count++
    seen = items.length
    return count
  }
}

test(
  `a slow and a dead site in its lane do not hold up a healthy one (${MESSAGES} messages each)`,
  { timeout: 900_000 },
  async (t) => {
    const { sink, delivery, send, until, statuses } = await platform(t)
    const slowSink = await startSmtpSink(t, { greetingDelayMs: SLOW_MS, delayMs: SLOW_MS })
    const deadSink = await startSmtpSink(t)
    await deadSink.close()
    const [healthy = '', slow = '', dead = ''] = sitesOfOneLane(3)
    const ports = { [healthy]: sink.port, [slow]: slowSink.port, [dead]: deadSink.port }
    const relayed = counting(statuses, ({ kind }) => kind === 'relayed')
    const deferred = counting(statuses, ({ kind }) => kind === 'deferred')

    // Waiting on the bus before the replica begins, one of each site after the other.
    const paths = Array.from({ length: MESSAGES }, (_, index) => Object.keys(ports).map((site) => `u${index}@${site}`))
    await send(queueId(1), paths.flat(), (path) => ({
      via: `smtp:127.0.0.1:${ports[path.slice(path.indexOf('@') + 1)]}`,
      // A message of its own for each, though they share a record.
      envid: path,
    }))
    const replica = await delivery({
      DELIVERY_RETRY_FIRST_MS: '3600000',
      // Fewer in hand than any of the sites has, so that they can only come through where the others make room.
      ...(!LONG && { DELIVERY_LANE_IN_FLIGHT: '200' }),
    })
    await until(() => relayed() === MESSAGES && deferred() === MESSAGES)

    const [spilled, suspended] = await Promise.all([
      replica.metric('mail_delivery_spilled_total'),
      replica.metric('mail_delivery_suspended_total'),
    ])
    t.diagnostic(`${spilled} spilled, ${suspended} suspended`)
    assert.ok(suspended > MESSAGES / 2 && spilled > MESSAGES / 2)
    assert.equal(sink.messages.length, MESSAGES)
    const told = statuses.filter(({ kind }) => kind === 'deferred')
    assert.ok(told.every((status) => status.kind === 'deferred' && status.status === '4.4.1'))
  },
)
