/** `postbus queue` on a real bus, with books and owners of lanes that say what the test wants. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'

import { connectBus } from '@postbus/bus'
import {
  type ActResult,
  actOnTasks,
  countQueue,
  laneOf,
  listAccounts,
  listQueue,
  type QueuedRecipient,
  type QueueFilter,
  QueueId,
  recipientHistory,
  recipientKey,
  where,
} from '@postbus/contracts'
import { startNatsServer } from '@postbus/testkit'
import { pino } from 'pino'
import type { z } from 'zod'

import { postbus } from '../src/cli/postbus.ts'

type Question = z.output<typeof actOnTasks.input>

const id = (number: number): QueueId => QueueId.parse(`01J9ZK3V8Q6X4T2M7N5R1${String(number).padStart(5, '0')}`)
const acceptedAt = new Date(Date.now() - 3 * 3_600_000).toISOString()

const queued = (number: number, changes: Partial<QueuedRecipient> = {}): QueuedRecipient => ({
  ...{ queueId: id(number), n: recipientKey(`user${number}@far.test`, ''), site: 'far.test', shard: 0 },
  ...{ reversePath: 'smith@example.org', forwardPath: `user${number}@far.test`, size: 1000, acceptedAt },
  ...{ expiresAt: '2030-01-01T00:00:00.000Z', state: 'deferred', attempt: 2, at: acceptedAt },
  ...{ nextAttemptAt: new Date(Date.now() + 600_000).toISOString(), reason: '450 try later' },
  ...changes,
})

async function platform(t: TestContext, rows: QueuedRecipient[] = []) {
  const data = mkdtempSync(join(tmpdir(), 'postbus-queue-'))
  const buses: { close(): Promise<void> }[] = []
  t.after(async () => {
    await Promise.all(buses.map((bus) => bus.close()))
    rmSync(data, { recursive: true, force: true })
  })
  const nats = await startNatsServer(t)
  const operatorNkeyFile = join(data, 'operator.nk')
  writeFileSync(operatorNkeyFile, nats.seeds.operator)
  const log = pino({ level: 'silent' })
  const connected = async (party: 'custody' | 'delivery' | 'directory') => {
    const bus = await connectBus({ servers: nats.url, nkeySeed: nats.seeds[party], party, log })
    buses.push(bus)
    return bus
  }
  const asked: QueueFilter[] = []
  const custody = await connected('custody')
  await custody.answerRows(listQueue, async function* ({ filter, limit }) {
    asked.push(filter)
    const { states, queueId } = filter
    const some = rows.filter((row) => (states?.includes(row.state) ?? true) && row.queueId === (queueId ?? row.queueId))
    for (const row of some.slice(0, limit)) yield { row }
  })
  const acts: Question[] = []
  return {
    ...{ asked, acts, custody, connected },
    async owns(lane: string, answer: (task: Question['tasks'][number], time: number) => ActResult): Promise<void> {
      const delivery = await connected('delivery')
      const times = new Map<string, number>()
      const handler = async (question: Question) => {
        acts.push(question)
        const results = question.tasks.map((task) => {
          const time = (times.get(task.queueId) ?? 0) + 1
          times.set(task.queueId, time)
          return answer(task, time)
        })
        return { results }
      }
      await delivery.answer(actOnTasks, handler, { tokens: { lane } })
    },
    async call(...argv: string[]) {
      const written = { out: '', err: '' }
      const status = await postbus(['queue', ...argv], {
        env: { NATS_URL: nats.url, NATS_NKEY_FILE: operatorNkeyFile, USER: 'ann' },
        stdout: { write: (chunk) => (written.out += chunk) },
        stderr: { write: (chunk) => (written.err += chunk) },
      })
      return { status, ...written }
    },
  }
}

const lane = laneOf('far.test')

test('the queue is listed with what holds each recipient up, and a peer’s words cannot drive the terminal', async (t) => {
  const rows = [
    queued(1, { reason: '450 \u001b[31mlater', reversePath: '' }),
    queued(2, { state: 'held', via: 'smtp:relay.test:25' }),
  ]
  const { call } = await platform(t, rows)
  for (const argv of [[], ['list']]) {
    const { status, out } = await call(...argv)
    assert.equal(status, 0)
    const lines = out.trimEnd().split('\n')
    assert.match(lines[0] ?? '', /^queue id +key +age +state +attempts +next +from +to +site +reason$/)
    assert.match(
      lines[1] ?? '',
      /^01J9ZK3V8Q6X4T2M7N5R100001 +[0-9a-f]{16} +3h00m +deferred +2 +9m +<> +user1@far\.test +far\.test +450 \?\[31mlater$/,
    )
    assert.match(lines[2] ?? '', / held .* far\.test \(smtp:relay\.test:25\) /)
  }
  const limited = await call('list', '--limit', '1')
  assert.match(limited.out, /No more than 1 are shown/)
  assert.deepEqual(JSON.parse((await call('--json')).out), rows)
})

test('options become the filter the books are asked with', async (t) => {
  const { call, asked, connected } = await platform(t)
  const directory = await connected('directory')
  await directory.answer(listAccounts, async ({ address = '' }) => ({
    accounts: [
      {
        ...{ account: 'smith00000000', address, name: '', enabled: true, quotaBytes: null, createdAt: acceptedAt },
        ...{ recipientsPerHour: null, messagesPerHour: null },
      },
    ],
    more: false,
  }))
  const before = Date.now() - 2 * 3_600_000
  await call('list', '--site', '.far.test', '--sender', '<>', '--account', 'smith@example.org', '--older-than', '2h')
  await call('list', '--state', 'held', '--state', 'deferred', '--reason', 'grey', '--recipient', '@far.test')
  const [first, second] = asked
  assert.deepEqual({ ...first, before: '' }, { site: '.far.test', sender: '<>', account: 'smith00000000', before: '' })
  assert.ok(Math.abs(Date.parse(first?.before ?? '') - before) < 60_000)
  assert.deepEqual(second, { states: ['held', 'deferred'], reason: 'grey', recipient: '@far.test' })
})

test('sites are counted, the fullest first', async (t) => {
  const { call, custody } = await platform(t)
  await custody.answer(countQueue, async () => ({
    sites: [{ site: 'far.test', routed: 1, deferred: 20, held: 3, dead: 0, oldestAt: acceptedAt }],
    total: 25,
  }))
  const { status, out } = await call('sites')
  assert.equal(status, 0)
  assert.match(out, /^far\.test +24 +1 +20 +3 +0 +3h00m +–$/m)
  assert.match(out, /^25 in all$/m)
})

test('one recipient is shown with its history, a message with several by its recipients', async (t) => {
  const row = queued(1)
  const { call, custody } = await platform(t, [row])
  const { queueId, n } = row
  const other = recipientKey('bob@far.test', '')
  const tracked = { original: 0, state: 'deferred', attempt: 2, incarnation: 0, at: acceptedAt } as const
  await custody.answer(where, async (): Promise<z.input<typeof where.output>> => ({
    ...{ queueId, origin: 'submission', acceptedAt, reversePath: 'smith@example.org', size: 1000, originals: [] },
    recipients: [
      { ...tracked, n, forwardPath: 'user1@far.test', detail: '450 try later' },
      { ...tracked, n: other, forwardPath: 'bob@far.test' },
    ],
  }))
  const of = { queueId, n, incarnation: 0, at: acceptedAt }
  await custody.answer(recipientHistory, async (input): Promise<z.input<typeof recipientHistory.output>> => {
    assert.equal(input.n, n)
    return {
      ...{ forwardPath: 'user1@far.test', state: 'deferred' },
      laterReports: [],
      history: [
        { ...of, kind: 'held', attempt: 1, rule: 'operator: too many', site: 'far.test' },
        { ...of, kind: 'released', attempt: 1, by: 'postbus ann', via: 'mx:other.test' },
        {
          ...{ ...of, kind: 'deferred', attempt: 2, status: '4.2.0', reason: 'later', reply: '450 try later' },
          ...{ mxHost: 'mx.far.test', nextAttemptAt: acceptedAt },
        },
        { ...of, kind: 'released', attempt: 2, by: 'postbus ann', missing: true },
      ],
    }
  })
  const all = await call('show', queueId)
  assert.match(all.out, new RegExp(`^${other} +bob@far\\.test +deferred +2`, 'm'))
  for (const named of ['USER1@far.test', n]) {
    const { status, out } = await call('show', queueId.toLowerCase(), named)
    assert.equal(status, 0)
    assert.match(out, /^site +far\.test$/m)
    assert.match(out, / 1 +held +operator: too many$/m)
    assert.match(out, / 1 +released +by postbus ann via mx:other\.test$/m)
    assert.match(out, / 2 +deferred +4\.2\.0 450 try later \(mx\.far\.test\), next /m)
    assert.match(out, / 2 +released +by postbus ann, lost by the bus: custody makes it again$/m)
  }
  assert.equal((await call('show', queueId, 'nobody@far.test')).status, 2)
})

test('an act reaches the owner of each lane with who acts, and says what came of it', async (t) => {
  const rows = [queued(1), queued(2, { site: 'other.test' }), queued(3, { state: 'held' })]
  const { call, owns, acts } = await platform(t, rows)
  await owns(lane, () => 'done')
  await owns(laneOf('other.test'), () => 'ended')
  const { status, out, err } = await call('hold', '--sender', '@example.org', '--note', 'spam run')
  assert.deepEqual([status, err], [0, ''])
  assert.match(out, /^1 +done$/m)
  assert.match(out, /^1 +had ended before$/m)
  assert.deepEqual(
    acts.map(({ by }) => by),
    ['postbus ann', 'postbus ann'],
  )
  assert.deepEqual(acts[0]?.act, { kind: 'hold', rule: 'operator: spam run' })
  assert.deepEqual(
    acts
      .map(({ tasks }) => tasks.map(({ queueId }) => queueId))
      .flat()
      .sort(),
    [id(1), id(2)],
  )
})

test('what is being attempted is asked for again; what cannot be done is named, and ends with 1', async (t) => {
  const { call, owns } = await platform(t, [queued(1), queued(2)])
  await owns(lane, ({ queueId }, time) => (queueId === id(2) ? 'unknown' : time < 3 ? 'attempting' : 'done'))
  const { status, out } = await call('cancel', '--all', '--json')
  assert.equal(status, 1)
  assert.deepEqual(JSON.parse(out), {
    ...{ act: 'cancel', recipients: 2, results: { done: 1, unknown: 1 } },
    notDone: [{ queueId: id(2), n: queued(2).n, forwardPath: 'user2@far.test', result: 'unknown' }],
  })
})

test('a lane whose owner comes late is waited for', async (t) => {
  const { call, owns, asked } = await platform(t, [queued(1)])
  const calling = call('retry', id(1))
  while (asked.length === 0) await new Promise((resolve) => setImmediate(resolve))
  await owns(lane, () => 'done')
  const { status, out } = await calling
  assert.equal(status, 0)
  assert.match(out, /^1 +done$/m)
})

test('thousands go in blocks, each recipient once', async (t) => {
  const rows = Array.from({ length: 4321 }, (_, index) => queued(index, { site: `site${index % 3}.test` }))
  const { call, owns, acts } = await platform(t, rows)
  for (const own of new Set(rows.map(({ site }) => laneOf(site)))) await owns(own, () => 'done')
  const { status, out } = await call('cancel', '--report', '--all')
  assert.equal(status, 0)
  assert.match(out, /^4321 +done$/m)
  const all = acts.flatMap(({ tasks }) => tasks.map(({ queueId }) => queueId))
  assert.deepEqual([all.length, new Set(all).size], [4321, 4321])
  assert.ok(acts.every(({ tasks, act }) => tasks.length <= 500 && act.kind === 'cancel' && act.report))
})

test('a message that is named and not in the queue is no success; a filter that finds nothing is', async (t) => {
  const { call } = await platform(t, [queued(1)])
  assert.equal((await call('retry', id(9))).status, 1)
  const none = await call('retry', '--site', 'far.test', '--state', 'held')
  assert.deepEqual([none.status, none.out.trim()], [0, 'nothing of that kind is in the queue'])
})

test('a dry run touches nobody, and without a word about whom nothing is done', async (t) => {
  const { call, asked } = await platform(t, [queued(1), queued(2, { state: 'held' })])
  const dry = await call('release', '--all', '--dry-run')
  assert.equal(dry.status, 0)
  assert.match(dry.out, /user2@far\.test[^]*^1 in all$/m)
  assert.doesNotMatch(dry.out, /user1@/)
  const wrong = [
    ['cancel'],
    ['cancel', '--state', 'held'],
    ['cancel', '--all', '--site', 'far.test'],
    ['reroute', '--all'],
    ['reroute', '--all', '--via', 'far.test'],
    ['hold', 'not-a-queue-id'],
    ['retry', '--older-than', 'long'],
    ['retry', '--state', 'delivered'],
    ['retry', id(1), 'a@far.test', '--recipient', 'b@far.test'],
    ['list', '--limit', '0'],
    ['show'],
    ['nonsense'],
  ]
  for (const argv of wrong) assert.equal((await call(...argv)).status, 2, argv.join(' '))
  assert.equal(asked.length, 1)
})
