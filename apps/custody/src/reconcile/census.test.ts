import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'

import { MailAccepted, MailHold, MailLocal, MailOut, MailOutLater, type QueueId } from '@postbus/contracts'
import { temporaryDatabase } from '@postbus/sql'

import {
  acceptedMessage,
  finalOf,
  keyOf,
  local,
  queueIdOf,
  remote,
  routedOf,
  statusOf,
  time,
} from '../../test/samples.ts'
import { migrations } from '../adapters/storage/migrations.ts'
import { sqlBooks } from '../adapters/storage/sql-books.ts'
import type { Tables } from '../adapters/storage/tables.ts'
import { type CensusPorts, changedStreams, type KnownStream, takeCensus } from './census.ts'

const long = process.env['POSTBUS_TEST_LONG'] === '1'
const never = new AbortController().signal

async function world(t: TestContext) {
  let now = Date.parse(time(5))
  const db = await temporaryDatabase<Tables>(t, migrations)
  const books = sqlBooks(db, { overdueMs: 600_000, gatherMs: 0, delayMs: 0, historyKept: 10, now: () => now })
  const writer = await books.lead(1)
  const bus = new Set<string>()
  let streams: KnownStream[] = [{ name: 'MAIL_OUT/0', createdAt: time(0), lastSequence: 10 }]
  const ports: CensusPorts = {
    ...{ books, writer },
    streams: async () => streams,
    async *subjects() {
      yield [...bus]
    },
    now: () => new Date(now),
  }
  return {
    ...{ db, books, writer, bus, ports },
    census: () => takeCensus(ports, never),
    streamsAre: (next: KnownStream[]) => void (streams = next),
    later: (minutes: number) => void (now += minutes * 60_000),
    /** Recipients that are looked for now. */
    overdue: async () => (await writer.overdueRecipients(new Date(now), 100)).map(({ tracked }) => tracked.n),
    overdueMessages: async () => (await writer.overdueMessages(new Date(now), 100)).map(({ queueId }) => queueId),
  }
}

const one = queueIdOf(1)
const accepted = acceptedMessage(one, ['jones@example.org', 'ann@far.test'])
const routed = [
  routedOf(accepted, [finalOf('jones', local)], { original: 0 }),
  routedOf(accepted, [finalOf('ann', remote)], { original: 1 }),
]
const task = (queueId: QueueId, name: string) => ({ queueId, n: keyOf(name), site: 'far.test', shard: 0 }) as never

test('what is open and on no stream is looked for at once, the rest when its time comes', async (t) => {
  const it = await world(t)
  await it.writer.record(routed)
  it.bus.add(MailLocal.subject(task(one, 'jones')))
  assert.deepEqual(await it.overdue(), [])
  assert.deepEqual(await it.census(), { onTheBus: 1, open: 2, missing: 1 })
  assert.deepEqual(await it.overdue(), [keyOf('ann')])
})

test('a task counts as there wherever on the bus it is', async (t) => {
  for (const place of [MailOut, MailOutLater]) {
    const it = await world(t)
    await it.writer.record([...routed, statusOf(one, 'jones', 'delivered')])
    it.bus.add(place.subject(task(one, 'ann')))
    assert.equal((await it.census()).missing, 0, place.name)
  }
  const it = await world(t)
  await it.writer.record([...routed, statusOf(one, 'jones', 'delivered'), statusOf(one, 'ann', 'held')])
  it.bus.add(MailHold.subject({ task: task(one, 'ann') } as never))
  assert.equal((await it.census()).missing, 0)
})

test('a deferral that is due in hours is found missing now', async (t) => {
  const it = await world(t)
  const deferral = statusOf(one, 'ann', 'deferred', { attempt: 1, nextAttemptAt: time(240) })
  await it.writer.record([...routed, statusOf(one, 'jones', 'delivered'), deferral])
  await it.census()
  assert.deepEqual(await it.overdue(), [keyOf('ann')])
})

test('a message nobody routed is looked for when no stream has it', async (t) => {
  const it = await world(t)
  const other = acceptedMessage(queueIdOf(2), ['brown@example.org'])
  await it.writer.record([routed[0] as never, routedOf(other, [finalOf('brown', local)])])
  it.bus.add(MailAccepted.subject(other))
  it.bus.add(MailLocal.subject(task(one, 'jones')))
  it.bus.add(MailLocal.subject(task(other.queueId, 'brown')))
  await it.census()
  assert.deepEqual(await it.overdueMessages(), [one])
})

test('what has ended, and what is dead, is nobody to look for', async (t) => {
  const it = await world(t)
  await it.writer.record([...routed, statusOf(one, 'jones', 'delivered'), statusOf(one, 'ann', 'dead')])
  assert.deepEqual(await it.census(), { onTheBus: 0, open: 0, missing: 0 })
})

test('a stream made anew, or gone back, is another one; one that only went on is not', async (t) => {
  const it = await world(t)
  assert.equal(changedStreams(await it.books.knownStreams(), await it.ports.streams()).length, 1, 'never seen')
  await it.census()
  const known = { name: 'MAIL_OUT/0', createdAt: time(0), lastSequence: 10 }
  for (const [stream, changed] of [
    [known, 0],
    [{ ...known, lastSequence: 11 }, 0],
    [{ ...known, lastSequence: 9 }, 1],
    [{ ...known, createdAt: time(1), lastSequence: 99 }, 1],
  ] as const) {
    it.streamsAre([stream])
    assert.equal(changedStreams(await it.books.knownStreams(), await it.ports.streams()).length, changed)
  }
})

test('a census that is broken off is taken again', async (t) => {
  const it = await world(t)
  const broken: CensusPorts = {
    ...it.ports,
    async *subjects() {
      yield []
      throw new Error('the bus went away')
    },
  }
  await assert.rejects(takeCensus(broken, never))
  assert.deepEqual(await it.books.knownStreams(), [])
})

test(`${long ? '1,000,000' : '20,000'} open recipients are compared in pages`, async (t) => {
  const it = await world(t)
  const count = long ? 1_000_000 : 20_000
  const BATCH = 1000
  for (let from = 0; from < count; from += BATCH) {
    const messages = Array.from({ length: BATCH }, (_, index) =>
      acceptedMessage(queueIdOf(from + index), ['a@far.test']),
    )
    await it.writer.record(messages.map((message) => routedOf(message, [finalOf('ann', remote)])))
    for (const [index, { queueId }] of messages.entries()) {
      if (index > 0) it.bus.add(MailOut.subject(task(queueId, 'ann')))
    }
  }
  const begun = performance.now()
  const census = await it.census()
  t.diagnostic(`${count} open recipients compared in ${Math.round(performance.now() - begun)} ms`)
  assert.deepEqual(census, { onTheBus: count - count / BATCH, open: count, missing: count / BATCH })
})
