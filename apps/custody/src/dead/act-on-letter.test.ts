import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'

import {
  type DeadAct,
  type MailAccepted,
  type MailDead,
  MailStatus,
  MAX_SHOWN_PAYLOAD,
  type QueueId,
  statusMessages,
} from '@postbus/contracts'
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
import { onShowDead } from '../handlers/dead.ts'
import type { Publication } from '../reconcile/task.ts'
import { actOnLetter } from './act-on-letter.ts'
import { type DeadCopies, listLetters } from './letters.ts'

const one = queueIdOf(1)
const accepted = acceptedMessage(one, ['jones@example.org', 'ann@far.test'])
const routed = [
  routedOf(accepted, [finalOf('jones', local)], { original: 0 }),
  routedOf(accepted, [finalOf('ann', remote)], { original: 1 }),
]
const jones = `${one}.${keyOf('jones')}`
const ann = `${one}.${keyOf('ann')}`
const hashed = `${one}.${'f'.repeat(16)}`
const poison = `${'a'.repeat(26)}.${'b'.repeat(16)}`

const RETRY: DeadAct = { kind: 'retry' }
const DROP: DeadAct = { kind: 'drop', report: false }
const REPORT: DeadAct = { kind: 'drop', report: true }

/** Books on a database of their own, MAIL_DEAD as a map of subjects, and everything done in the order it was done. */
async function world(t: TestContext) {
  const db = await temporaryDatabase<Tables>(t, migrations)
  const books = sqlBooks(db, {
    ...{ overdueMs: 600_000, gatherMs: 0, delayMs: 0, historyKept: 5, now: () => Date.parse(time(0)) },
  })
  const writer = await books.lead(1)
  const spool = new Map<QueueId, MailAccepted>([[one, accepted]])
  const letters = new Map<string, MailDead>()
  const published: (Publication | { kind: 'accepted'; event: MailAccepted })[] = []
  const done: string[] = []
  let failing = ''
  const step = (name: string): void => {
    if (name === failing) throw new Error(`${name} failed`)
    done.push(name)
  }
  const copies: DeadCopies = {
    async *subjects() {
      yield [...letters.keys()]
    },
    subjectsOf: (id) => [...letters.keys()].filter((subject) => subject.endsWith(`.${id}`)),
    async find(subject) {
      const letter = letters.get(subject)
      return letter ? { letter, sequence: letter.sequence } : null
    },
    async remove({ letter }) {
      step('remove')
      letters.delete(`mail.dead.v1.${letter.stream}.${letter.reason}.${letter.id}`)
    },
  }
  const ports = {
    ...{ books, copies },
    writer: {
      raiseIncarnation: writer.raiseIncarnation.bind(writer),
      adopt: writer.adopt.bind(writer),
      async record(statuses: Parameters<typeof writer.record>[0]) {
        step('record')
        return writer.record(statuses)
      },
    },
    record: async (queueId: QueueId) => spool.get(queueId) ?? null,
    async publish(publication: Publication) {
      step('publish')
      published.push(publication)
    },
    async publishAccepted(event: MailAccepted) {
      step('publish')
      published.push({ kind: 'accepted', event })
    },
    now: () => new Date(time(30)),
  }
  let sequence = 100
  return {
    ...{ books, writer, spool, letters, published, done, ports },
    lay(id: string, stream: string, payload: unknown = {}, reason: MailDead['reason'] = 'contract') {
      letters.set(`mail.dead.v1.${stream}.${reason}.${id}`, {
        ...{ id, stream, reason, sequence: sequence++, subject: 'mail.x', detail: 'why', at: time(2), headers: {} },
        payload: Buffer.from(JSON.stringify(payload)).toString('base64'),
      })
    },
    failAt(name: string) {
      failing = name
    },
    act: (id: string, act: DeadAct) => actOnLetter(ports, id, act, 'postbus smith'),
    async state(name: string) {
      const page = await books.find(one)
      return page?.recipients.find(({ n }) => n === keyOf(name))?.status ?? null
    },
    list: (limit = 100) => Array.fromAsync(listLetters({ books, copies }, limit)),
  }
}

test('a dead task goes out again as a new incarnation with its attempt, then the copy is removed', async (t) => {
  const it = await world(t)
  await it.writer.record([
    ...routed,
    statusOf(one, 'ann', 'deferred', { attempt: 3, nextAttemptAt: time(20) }),
    statusOf(one, 'ann', 'dead', { attempt: 4 }),
  ])
  it.lay(ann, 'MAIL_OUT_0')
  assert.equal(await it.act(ann, RETRY), 'done')
  assert.deepEqual(it.done, ['publish', 'record', 'remove'])
  const [publication] = it.published
  assert.ok(publication?.kind === 'out')
  assert.deepEqual(
    [publication.event.attempt, publication.event.incarnation, publication.event.site],
    [4, 1, 'far.test'],
  )
  const status = await it.state('ann')
  assert.ok(status?.kind === 'released' && status.by === 'postbus smith')
  assert.deepEqual([status.incarnation, status.attempt], [1, 3])
  assert.equal(it.letters.size, 0)
  // Whatever still says that the earlier copy is dead is older.
  await it.writer.record([statusOf(one, 'ann', 'dead', { attempt: 4 })])
  assert.equal((await it.state('ann'))?.kind, 'released')
})

test('a local task the books do not know to be dead yet is driven again all the same', async (t) => {
  const it = await world(t)
  await it.writer.record(routed)
  it.lay(jones, 'MAIL_LOCAL', {}, 'crash')
  it.lay(jones, 'MAIL_LOCAL', {}, 'rejected')
  assert.equal(await it.act(jones, RETRY), 'done')
  assert.deepEqual(
    it.published.map((publication) => [publication.kind, publication.event]),
    [
      [
        'local',
        {
          ...{ queueId: one, incarnation: 1, acceptedAt: time(0), origin: 'submission', size: 1000 },
          ...{ smtputf8: false, requireTls: false, envid: undefined, ret: undefined, n: keyOf('jones') },
          ...{ reversePath: 'smith@example.org', original: { forwardPath: 'jones@example.org' } },
          ...{ forwardPath: 'jones@example.org', account: 'jones00000000', detail: undefined },
        },
      ],
    ],
  )
  assert.equal(it.letters.size, 0)
})

test('what the bus has lost of a dead recipient is made again from the books', async (t) => {
  const it = await world(t)
  await it.writer.record([...routed, statusOf(one, 'ann', 'dead', { attempt: 1 })])
  assert.deepEqual(
    (await it.list()).map(({ id, state, copies }) => [id, state, copies.length]),
    [[ann, 'dead', 0]],
  )
  assert.equal(await it.act(ann, RETRY), 'done')
  assert.equal(it.published.length, 1)
  assert.deepEqual(await it.list(), [])
  assert.equal(await it.act(ann, RETRY), 'unknown')
})

test('cut short at any step, a letter is still there and can be acted on again', async (t) => {
  for (const where of ['publish', 'record', 'remove']) {
    const it = await world(t)
    await it.writer.record([...routed, statusOf(one, 'ann', 'dead', { attempt: 1 })])
    it.lay(ann, 'MAIL_OUT_0')
    it.failAt(where)
    await assert.rejects(it.act(ann, RETRY), new RegExp(where))
    assert.equal((await it.list()).length, 1, where)
    it.failAt('')
    assert.equal(await it.act(ann, RETRY), 'done')
    assert.deepEqual(await it.list(), [])
    const incarnations = it.published.map(({ event }) => ('incarnation' in event ? event.incarnation : -1))
    assert.deepEqual(incarnations, where === 'publish' ? [2] : [1, 2])
  }
})

test('a dropped recipient ends, cancelled or failed with a report to come', async (t) => {
  const it = await world(t)
  await it.writer.record([...routed, statusOf(one, 'jones', 'dead'), statusOf(one, 'ann', 'dead', { attempt: 1 })])
  it.lay(jones, 'MAIL_LOCAL')
  it.lay(ann, 'MAIL_OUT_0')
  assert.deepEqual([await it.act(jones, DROP), await it.act(ann, REPORT)], ['done', 'done'])
  const status = await it.state('ann')
  assert.ok(status?.kind === 'failed' && status.rule === 'operator')
  assert.equal((await it.state('jones'))?.kind, 'cancelled')
  assert.equal(await it.writer.hasNews(new Date(time(60))), true)
  assert.deepEqual(it.published, [])
  assert.equal(it.letters.size, 0)
})

test('a letter whose recipient has ended meanwhile is only taken away', async (t) => {
  const it = await world(t)
  await it.writer.record([...routed, statusOf(one, 'jones', 'delivered')])
  for (const act of [RETRY, REPORT]) {
    it.lay(jones, 'MAIL_LOCAL')
    assert.equal(await it.act(jones, act), 'ended')
    assert.equal(it.letters.size, 0)
  }
  assert.equal((await it.state('jones'))?.kind, 'delivered')
  assert.deepEqual(it.published, [])
})

test('an accepted message that was never routed is given to the router again, or every recipient of it ends', async (t) => {
  const it = await world(t)
  it.lay(hashed, 'MAIL_ACCEPTED')
  assert.equal(await it.act(hashed, RETRY), 'done')
  const [publication] = it.published
  assert.deepEqual([publication?.kind, publication?.event], ['accepted', { ...accepted, incarnation: 1 }])

  it.lay(hashed, 'MAIL_ACCEPTED')
  assert.equal(await it.act(hashed, REPORT), 'done')
  const page = await it.books.find(one)
  assert.deepEqual(page?.recipients.map(({ status, listing }) => [status?.kind, listing?.final.forwardPath]).sort(), [
    ['failed', 'ann@far.test'],
    ['failed', 'jones@example.org'],
  ])
  assert.ok(page?.originals.every(({ routed }) => routed))
  it.lay(hashed, 'MAIL_ACCEPTED')
  assert.equal(await it.act(hashed, RETRY), 'ended')

  it.lay(`${queueIdOf(9)}.${'f'.repeat(16)}`, 'MAIL_ACCEPTED')
  assert.equal(await it.act(`${queueIdOf(9)}.${'f'.repeat(16)}`, RETRY), 'noRecord')
  assert.equal(await it.act(`${queueIdOf(9)}.${'f'.repeat(16)}`, DROP), 'done')
})

test('statuses set aside are read again by the contract of today; what nobody can read is only shown and dropped', async (t) => {
  const it = await world(t)
  await it.writer.record(routed)
  const [message] = statusMessages([statusOf(one, 'jones', 'delivered')])
  it.lay(poison, MailStatus.stream.name, message)
  assert.equal(await it.act(poison, RETRY), 'done')
  assert.equal((await it.state('jones'))?.kind, 'delivered')

  it.lay(poison, 'MAIL_OUT_0', { long: 'x'.repeat(100_000) })
  assert.equal(await it.act(poison, RETRY), 'unreadable')
  assert.equal(it.letters.size, 1)
  const show = onShowDead(it.ports)
  const { letter, contents } = await show({ id: poison })
  assert.deepEqual([letter.queueId, letter.copies[0]?.detail], [undefined, 'why'])
  assert.equal(contents[0]?.payload.length, MAX_SHOWN_PAYLOAD)
  assert.equal(await it.act(poison, DROP), 'done')
  assert.equal(it.letters.size, 0)
  await assert.rejects(show({ id: poison }), { code: 'noSuchLetter' })
  assert.equal(await it.act(poison, DROP), 'unknown')
})

test('the list names a letter once, whatever its copies, and no more than asked for', async (t) => {
  const it = await world(t)
  await it.writer.record([...routed, statusOf(one, 'jones', 'dead'), statusOf(one, 'ann', 'dead', { attempt: 1 })])
  it.lay(jones, 'MAIL_LOCAL', {}, 'crash')
  it.lay(jones, 'MAIL_LOCAL', {}, 'rejected')
  it.lay(poison, 'MAIL_STATUS')
  const letters = await it.list()
  assert.deepEqual(
    letters.map(({ id, forwardPath, copies }) => [id, forwardPath, copies.length]),
    [
      [jones, 'jones@example.org', 2],
      [poison, undefined, 1],
      [ann, 'ann@example.org', 0],
    ],
  )
  assert.equal((await it.list(2)).length, 2)
})
