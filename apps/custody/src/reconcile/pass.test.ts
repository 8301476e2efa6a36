import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'

import {
  type MailAccepted,
  MailAccepted as Accepted,
  MailHold,
  MailLocal,
  MailOut,
  MailOutLater,
  type QueueId,
  type Status,
} from '@postbus/contracts'
import { temporaryDatabase } from '@postbus/sql'

import {
  acceptedMessage,
  ended,
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
import type { Overdue } from '../tracking/books.ts'
import type { RecipientStatus } from '../tracking/order.ts'
import { nothingYet, pass, type PassLimits } from './pass.ts'
import type { ReconcilePorts } from './ports.ts'
import { Suspects } from './suspects.ts'
import type { Publication } from './task.ts'

const one = queueIdOf(1)
const accepted = acceptedMessage(one, ['jones@example.org', 'ann@far.test'])
const routed = [
  routedOf(accepted, [finalOf('jones', local)], { original: 0 }),
  routedOf(accepted, [finalOf('ann', remote)], { original: 1 }),
]
const GAP_MS = 60_000
const limits: PassLimits = { page: 10, pages: 10, gapMs: GAP_MS, againMs: { min: 600_000, max: 86_400_000 } }

/** Books on a database of their own, a bus that is a set of subjects, and both clocks by hand. */
async function world(t: TestContext) {
  const clock = { wall: Date.parse(time(0)), monotonic: 0 }
  const db = await temporaryDatabase<Tables>(t, migrations)
  const books = sqlBooks(db, { overdueMs: 600_000, gatherMs: 0, delayMs: 0, historyKept: 6, now: () => clock.wall })
  const writer = await books.lead(1)
  const bus = new Set<string>()
  const spool = new Map<QueueId, MailAccepted>([[one, accepted]])
  const published: (Publication | { kind: 'accepted'; event: MailAccepted })[] = []
  const looks: string[] = []
  let unread = false
  let beforeLook = (_subject: string): void => {}
  let askOwners: ReconcilePorts['askOwners'] = async () => new Map()
  const ports = {
    ...{ books, writer },
    suspects: new Suspects({ gapMs: GAP_MS, max: 100, now: () => clock.monotonic }),
    async holds({ subject }: { subject: string }) {
      looks.push(subject)
      beforeLook(subject)
      return bus.has(subject)
    },
    statusesRead: async () => !unread,
    askOwners: (rows: readonly Overdue[]) => askOwners(rows),
    record: async (queueId: QueueId) => spool.get(queueId) ?? null,
    publish: async (publication: Publication) => void published.push(publication),
    publishAccepted: async (event: MailAccepted) => void published.push({ kind: 'accepted', event }),
    now: () => new Date(clock.wall),
  }
  return {
    ...{ clock, books, writer, bus, spool, published, looks, ports },
    onLook: (callback: (subject: string) => void) => {
      beforeLook = callback
    },
    /** What mailstore and delivery know; null: one of them does not answer. */
    ownersKnow(known: readonly Status[] | null) {
      const statuses = known?.filter((status): status is RecipientStatus => status.kind !== 'routed')
      askOwners = async (rows) =>
        statuses === undefined
          ? null
          : new Map(
              rows.flatMap((row) => {
                const status = statuses.find(({ queueId, n }) => queueId === row.queueId && n === row.tracked.n)
                return status ? [[row, status] as const] : []
              }),
            )
    },
    /** Custody is behind with MAIL_STATUS. */
    behind(isBehind: boolean) {
      unread = isBehind
    },
    later(minutes: number) {
      clock.wall += minutes * 60_000
      clock.monotonic += minutes * 60_000
    },
    async pass(result = nothingYet()) {
      await pass(ports, limits, new AbortController().signal, result)
      return result
    },
  }
}

type World = Awaited<ReturnType<typeof world>>

async function twice({ pass, later }: World): Promise<void> {
  await pass()
  later(2)
  await pass()
}

test('an accepted message the bus lost is published again as the next incarnation, after two looks', async (t) => {
  const it = await world(t)
  await it.writer.adopt([accepted])
  assert.equal((await it.pass()).suspects, 1)
  assert.equal((await it.pass()).suspects, 0, 'not looked at again before the gap')
  it.later(2)
  assert.equal((await it.pass()).republished, 1)
  assert.deepEqual(it.published, [{ kind: 'accepted', event: { ...accepted, incarnation: 1 } }])
})

test('an accepted message that is on the bus is left alone', async (t) => {
  const it = await world(t)
  await it.writer.adopt([accepted])
  it.bus.add(Accepted.subject(accepted))
  for (let round = 0; round < 5; round++) {
    await it.pass()
    it.later(2)
  }
  assert.deepEqual(it.published, [])
})

test('nothing is lost while its status may be unread', async (t) => {
  const it = await world(t)
  await it.writer.adopt([accepted])
  it.behind(true)
  for (let round = 0; round < 5; round++) {
    await it.pass()
    it.later(2)
  }
  assert.deepEqual(it.published, [])
  it.behind(false)
  await it.pass()
  assert.equal(it.published.length, 1)
})

test('a step of the wall clock makes nothing look lost', async (t) => {
  const it = await world(t)
  await it.writer.record(routed)
  for (const hours of [1, 2, -1, 3]) {
    it.clock.wall += hours * 3_600_000
    it.clock.monotonic += 1000
    await it.pass()
  }
  assert.deepEqual(it.published, [])
})

test('lost tasks go straight back to where they were, with a new incarnation and the state last known', async (t) => {
  const it = await world(t)
  const deferral = { attempt: 2, nextAttemptAt: time(30), reply: '450 busy' }
  await it.writer.record([...routed, statusOf(one, 'ann', 'deferred', deferral)])
  it.later(45)
  await twice(it)
  const [jones, ann] = it.published
  assert.equal(jones?.kind, 'local')
  assert.ok(jones?.kind === 'local')
  assert.deepEqual(MailLocal.schema.parse(jones.event), jones.event)
  assert.deepEqual([jones.event.n, jones.event.incarnation], [keyOf('jones'), 1])
  assert.ok(ann?.kind === 'later')
  assert.deepEqual(ann.at, new Date(time(30)))
  assert.deepEqual(MailOut.schema.parse(ann.event), ann.event)
  const { attempt, lastReply, firstAttemptAt, expiresAt, incarnation } = ann.event
  assert.deepEqual(
    { attempt, lastReply, firstAttemptAt, expiresAt, incarnation },
    { attempt: 3, lastReply: '450 busy', firstAttemptAt: time(2), expiresAt: time(60 * 24 * 5), incarnation: 1 },
  )
})

test('what its owner knows to be done is entered in the books and not published again', async (t) => {
  const it = await world(t)
  await it.writer.record(routed)
  it.ownersKnow([statusOf(one, 'jones', 'delivered'), statusOf(one, 'ann', 'relayed', { attempt: 1 })])
  it.later(20)
  await twice(it)
  assert.deepEqual(it.published, [])
  assert.deepEqual((await it.books.find(one))?.recipients.map(({ status }) => status?.kind).toSorted(), [
    'delivered',
    'relayed',
  ])
})

test('a deferral whose status was lost is published again as the ledger has it', async (t) => {
  const it = await world(t)
  await it.writer.record([...routed, statusOf(one, 'jones', 'delivered')])
  it.ownersKnow([statusOf(one, 'ann', 'deferred', { attempt: 4, nextAttemptAt: time(90) })])
  it.later(20)
  await twice(it)
  const [later] = it.published
  assert.ok(later?.kind === 'later')
  assert.deepEqual([later.at, later.event.attempt, later.event.incarnation], [new Date(time(90)), 5, 1])
})

test('nothing is published again while its owner cannot be asked', async (t) => {
  const it = await world(t)
  await it.writer.record(routed)
  it.ownersKnow(null)
  it.later(20)
  for (let round = 0; round < 5; round++) {
    await it.pass()
    it.later(2)
  }
  assert.deepEqual(it.published, [])
  it.ownersKnow([])
  await twice(it)
  assert.equal(it.published.length, 2)
})

test('a held recipient comes back held', async (t) => {
  const it = await world(t)
  await it.writer.record([...routed, statusOf(one, 'jones', 'delivered'), statusOf(one, 'ann', 'held', { attempt: 3 })])
  it.later(60)
  await twice(it)
  const [hold] = it.published
  assert.ok(hold?.kind === 'hold')
  assert.deepEqual([hold.event.rule, hold.event.task.attempt], ['frozen', 3])
})

test('a task is left alone wherever on the bus it is', async (t) => {
  const it = await world(t)
  await it.writer.record([...routed, statusOf(one, 'jones', 'delivered')])
  it.later(20)
  await it.pass()
  const places = new Set(it.looks.filter((subject) => subject.startsWith('mail.')))
  assert.equal(places.size, 4, [...places].join(' '))
  for (const place of places) {
    const again = await world(t)
    await again.writer.record([...routed, statusOf(one, 'jones', 'delivered')])
    again.bus.add(place)
    again.later(20)
    await twice(again)
    assert.deepEqual(again.published, [], place)
  }
})

test('a task that runs round while it is looked for is not lost', async (t) => {
  const it = await world(t)
  await it.writer.record([...routed, statusOf(one, 'jones', 'delivered')])
  it.later(20)
  const task = { ...acceptedMessage(one, ['x@y.test']), site: 'far.test', shard: 0, n: keyOf('ann') }
  const [work, schedule] = [MailOut.subject(task as never), MailOutLater.subject(task as never)]
  // It is always where we do not look: due when the schedule is asked for, deferred again when the work is.
  it.onLook((subject) => {
    it.bus.delete(subject === work ? work : schedule)
    it.bus.add(subject === work ? schedule : work)
    if (subject === work) it.behind(true)
  })
  await twice(it)
  assert.deepEqual(it.published, [])
})

test('a held task is looked for where it is held, and found when it is let go meanwhile', async (t) => {
  const it = await world(t)
  await it.writer.record([...routed, statusOf(one, 'jones', 'delivered'), statusOf(one, 'ann', 'held', { attempt: 3 })])
  it.later(60)
  const task = { ...acceptedMessage(one, ['x@y.test']), site: 'far.test', shard: 0, n: keyOf('ann') }
  const hold = MailHold.subject({ task: task as never, heldAt: '', rule: '' })
  it.bus.add(hold)
  it.onLook((subject) => {
    if (subject !== hold) return
    it.bus.delete(hold)
    it.bus.add(MailOut.subject(task as never))
  })
  const { found, suspects } = await it.pass()
  assert.deepEqual([found, suspects, it.looks[0]], [1, 0, hold])
})

test('a held recipient that the bus lost comes back held, on the way that was chosen for it', async (t) => {
  const it = await world(t)
  const held = statusOf(one, 'ann', 'held', { attempt: 3, via: 'smtp:relay.test:25' })
  await it.writer.record([...routed, statusOf(one, 'jones', 'delivered'), held])
  it.later(60)
  await twice(it)
  const [hold] = it.published
  assert.equal(hold?.kind === 'hold' && hold.event.task.via, 'smtp:relay.test:25')
})

test('a recipient that moved on between the looks is not lost', async (t) => {
  const it = await world(t)
  await it.writer.record([...routed, statusOf(one, 'jones', 'delivered')])
  it.later(20)
  await it.pass()
  it.later(2)
  await it.writer.record([statusOf(one, 'ann', 'deferred', { attempt: 1, nextAttemptAt: time(20) })])
  it.later(60)
  assert.equal((await it.pass()).suspects, 1)
  assert.deepEqual(it.published, [])
})

test('recipients of one message come back under one incarnation', async (t) => {
  const it = await world(t)
  await it.writer.record(routed)
  it.later(20)
  await twice(it)
  assert.deepEqual(
    it.published.map(({ event }) => ('incarnation' in event ? event.incarnation : -1)),
    [1, 1],
  )
})

test('an end the router decided and the bus lost is decided again', async (t) => {
  const it = await world(t)
  await it.writer.record([routedOf(accepted, [finalOf('green', ended)], { original: 0 }), routed[1] as Status])
  await it.writer.record([statusOf(one, 'ann', 'relayed', { attempt: 1 })])
  it.later(20)
  await twice(it)
  assert.deepEqual(
    it.published.map(({ kind }) => kind),
    ['accepted'],
  )
})

test('what was set aside is entered in the books as dead, and waits for a person', async (t) => {
  const it = await world(t)
  await it.writer.record([...routed, statusOf(one, 'ann', 'relayed', { attempt: 1 })])
  it.bus.add(`mail.dead.v1.MAIL_LOCAL.*.${one}.${keyOf('jones')}`)
  it.later(20)
  await it.pass()
  const page = await it.books.find(one)
  assert.equal(page?.recipients.find(({ n }) => n === keyOf('jones'))?.status?.kind, 'dead')
  it.bus.clear()
  it.later(10_000)
  await twice(it)
  assert.deepEqual(it.published, [])
})

test('a message without its record is reported, not forgotten', async (t) => {
  const it = await world(t)
  await it.writer.adopt([accepted])
  it.spool.clear()
  await it.pass()
  it.later(2)
  assert.deepEqual((await it.pass()).recordMissing, [one])
  assert.deepEqual(it.published, [])
})

test('a death between the new incarnation and its publication only costs another pass', async (t) => {
  const it = await world(t)
  await it.writer.adopt([accepted])
  await it.pass()
  it.later(2)
  const broken = { ...it.ports, publishAccepted: () => Promise.reject(new Error('killed')) }
  await assert.rejects(pass(broken, limits, new AbortController().signal, nothingYet()))
  await twice(it)
  assert.deepEqual(
    it.published.map(({ event }) => ('incarnation' in event ? event.incarnation : -1)),
    [2],
  )
})

test('a pass that fails half-way has told what it published again before', async (t) => {
  const it = await world(t)
  await it.writer.adopt([accepted, acceptedMessage(queueIdOf(200), ['a@far.test'])])
  await it.pass()
  it.later(2)
  const result = nothingYet()
  const broken = {
    ...it.ports,
    record: async () => accepted,
    publishAccepted: (event: MailAccepted) =>
      it.published.push({ kind: 'accepted', event }) === 1 ? Promise.resolve() : Promise.reject(new Error('away')),
  }
  const one = { ...limits, page: 1 }
  await assert.rejects(pass(broken, one, new AbortController().signal, result), /away/)
  assert.equal(result.republished, 1)
})

test('more overdue rows than a page are all looked for, and those that wait are looked for ever more rarely', async (t) => {
  const it = await world(t)
  const messages = Array.from({ length: 35 }, (_, index) => acceptedMessage(queueIdOf(100 + index), ['a@far.test']))
  await it.writer.record(messages.map((message) => routedOf(message, [finalOf('ann', remote)])))
  for (const { queueId } of messages) {
    it.bus.add(MailOut.subject({ site: 'far.test', shard: 0, queueId, n: keyOf('ann') } as never))
  }
  it.later(20)
  assert.equal((await it.pass()).found, 35)
  it.later(15)
  assert.equal((await it.pass()).found, 0)
  it.later(10)
  assert.equal((await it.pass()).found, 35)
})
