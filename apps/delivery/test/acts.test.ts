/** Operators' acts through the front door: real schedules that fire, a real sink that is slow, a ledger in a file. */
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'

import { BusUnavailable } from '@postbus/bus'
import {
  type Act,
  type ActResult,
  actOnTasks,
  holdSubject,
  laneOf,
  MailHold,
  MailOut,
  MailOutLater,
  QueueId,
  RecipientKey,
  scheduleSubject,
  workSubject,
} from '@postbus/contracts'
import { openSqlite } from '@postbus/sql'

import { sqlLedger, type Tables } from '../src/adapters/ledger/sql-ledger.ts'
import type { Outcome } from '../src/attempt/outcome.ts'
import { platform, queueId } from './platform.ts'
import { taskTo } from './samples.ts'

const HOUR_MS = '3600000'
const quiet = { DELIVERY_RETRY_FIRST_MS: HOUR_MS, DELIVERY_RETRY_GREYLIST_MS: HOUR_MS, DELIVERY_ACT_WAIT_MS: '200' }
const retry: Act = { kind: 'retry' }
const hold: Act = { kind: 'hold', rule: 'operator' }
const release: Act = { kind: 'release' }
const cancel: Act = { kind: 'cancel', report: false }

async function operated(t: TestContext, sinkOptions = {}) {
  const world = await platform(t, sinkOptions)
  const operator = await world.bus('operator')
  const delivery = await world.bus('delivery')
  const act = async (act: Act, ...tasks: MailOut[]): Promise<ActResult[]> => {
    const lane = laneOf(tasks[0]?.site ?? '')
    const { results } = await operator.request(actOnTasks, { act, by: 'ann', tasks }, { tokens: { lane } })
    return results
  }
  const { statuses, until } = world
  return {
    ...world,
    act,
    /** A message that the sink did not take yet; its next attempt is an hour away. */
    async deferred(number: number, path = `greylist${number}@far.test`): Promise<MailOut> {
      const [task] = await world.send(queueId(number), [path])
      assert.ok(task)
      await until(() => statuses.some(({ n, kind }) => n === task.n && kind === 'deferred'))
      // The status is written beside the schedule.
      while ((await delivery.lookUp(MailOutLater, scheduleSubject(task))) === null);
      return task
    },
    kindsOf: ({ n, queueId }: MailOut) =>
      statuses.filter((status) => status.n === n && status.queueId === queueId).map(({ kind }) => kind),
    async whereIs(task: MailOut) {
      const [work, schedule, held] = await Promise.all([
        delivery.lookUp(MailOut, workSubject(task)),
        delivery.lookUp(MailOutLater, scheduleSubject(task)),
        delivery.lookUp(MailHold, holdSubject(task)),
      ])
      return [work && 'work', schedule && 'schedule', held && 'hold'].filter((place) => place !== null)
    },
  }
}

test('a scheduled task is tried at once when an operator says so, and a second time changes nothing', async (t) => {
  const { delivery, deferred, act, sink, until, kindsOf, whereIs } = await operated(t)
  await delivery(quiet)
  const task = await deferred(1)
  assert.deepEqual(await act(retry, task), ['done'])
  await until(() => kindsOf(task).includes('relayed'))
  assert.deepEqual(await act(retry, task), ['ended'])
  assert.deepEqual(await whereIs(task), [])
  assert.equal(sink.messages.length, 1)
})

test('a scheduled task is held, survives the death of its replica, and goes on when released', async (t) => {
  const { delivery, deferred, act, sink, until, kindsOf, whereIs } = await operated(t)
  const { stop } = await delivery(quiet)
  const task = await deferred(1)
  assert.deepEqual([await act(hold, task), await act(hold, task)], [['done'], ['done']])
  assert.deepEqual(await whereIs(task), ['hold'])
  await until(() => kindsOf(task).includes('held'))
  await stop()
  await assert.rejects(act(release, task), /nobody answers/)
  await delivery(quiet)
  assert.deepEqual(await insist(() => act(retry, task)), ['held'])
  assert.deepEqual(await act(release, task), ['done'])
  await until(() => kindsOf(task).includes('relayed'))
  assert.deepEqual(await act(release, task), ['ended'])
  assert.deepEqual(await whereIs(task), [])
  assert.equal(sink.messages.length, 1)
})

test('a cancelled task is gone; with a report it failed, and the books say why', async (t) => {
  const { delivery, deferred, act, until, kindsOf, whereIs, statuses, sink } = await operated(t)
  await delivery(quiet)
  const [one, other] = [await deferred(1), await deferred(2)]
  assert.deepEqual(await act(cancel, one), ['done'])
  assert.deepEqual(await act({ kind: 'cancel', report: true }, other, one), ['done', 'ended'])
  await until(() => kindsOf(one).includes('cancelled') && kindsOf(other).includes('failed'))
  assert.deepEqual([await whereIs(one), await whereIs(other)], [[], []])
  const failed = statuses.find(({ kind }) => kind === 'failed')
  assert.ok(failed?.kind === 'failed')
  assert.deepEqual([failed.status, failed.rule, failed.attempt], ['5.0.0', 'operator', 2])
  assert.equal(sink.messages.length, 0)
})

test('a rerouted task goes at once, and says which way', async (t) => {
  const { delivery, deferred, act, until, kindsOf, statuses } = await operated(t)
  await delivery(quiet)
  const task = await deferred(1)
  assert.deepEqual(await act({ kind: 'reroute', via: 'smtp:relay.test:2525' }, task), ['done'])
  await until(() => kindsOf(task).includes('released'))
  const released = statuses.find(({ kind }) => kind === 'released')
  assert.equal(released?.kind === 'released' && released.via, 'smtp:relay.test:2525')
})

test('what only waits for its site is held and cancelled at once; what is with the peer is let be', async (t) => {
  const answered = Promise.withResolvers<void>()
  t.after(() => answered.resolve())
  const { delivery, send, act, sink, until, kindsOf, whereIs } = await operated(t, { slowUntil: answered.promise })
  await delivery({ ...quiet, DELIVERY_SITE_CONCURRENCY: '1' })
  const [slow] = await send(queueId(1), ['slow@far.test'])
  while (!sink.commands.some((line) => line.startsWith('RCPT'))) await new Promise((resolve) => setImmediate(resolve))
  const [held] = await send(queueId(2), ['bob@far.test'])
  const [cancelled] = await send(queueId(3), ['carl@far.test'])
  const [kept] = await send(queueId(4), ['dora@far.test'])
  assert.ok(slow && held && cancelled && kept)
  assert.deepEqual(await act(cancel, slow), ['attempting'])
  assert.deepEqual([await act(hold, held), await act(cancel, cancelled), await act(retry, kept)].flat(), [
    ...['done', 'done', 'done'],
  ])
  await until(() => kindsOf(held).includes('held') && kindsOf(cancelled).includes('cancelled'))
  answered.resolve()
  await until(() => kindsOf(slow).includes('relayed') && kindsOf(kept).includes('relayed'))
  assert.deepEqual(await act(cancel, slow, cancelled), ['ended', 'ended'])
  assert.deepEqual([await whereIs(held), await whereIs(cancelled)], [['hold'], []])
  assert.deepEqual(await act(release, held), ['done'])
  await until(() => kindsOf(held).includes('relayed'))
  assert.deepEqual(
    sink.messages.flatMap(({ recipients }) => recipients.map(({ forwardPath }) => forwardPath)),
    ['slow@far.test', 'dora@far.test', 'bob@far.test'],
  )
})

test('who does not own a lane does not act on its tasks', async (t) => {
  const { delivery, bus } = await operated(t)
  await delivery(quiet)
  const operator = await bus('operator')
  const task = { ...taskTo('ann@far.test'), attempt: 0 }
  const lane = laneOf('far.test') === '00' ? '01' : '00'
  const ask = () => operator.request(actOnTasks, { act: retry, by: 'ann', tasks: [task] }, { tokens: { lane } })
  await assert.rejects(insist(ask), { name: 'RequestRefused', code: 'wrongLane' })
})

/** Numbers that come again with the same seed. */
function seeded(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
}

/** The operator asks until somebody owns the lane. */
async function insist<Result>(ask: () => Promise<Result>): Promise<Result> {
  for (;;) {
    try {
      return await ask()
    } catch (error) {
      if (!(error instanceof BusUnavailable)) throw error
    }
  }
}

test('acts against attempts, firing schedules and replicas that go: nothing lost, nothing delivered once it was cancelled', async (t) => {
  const seed = Number(process.env['POSTBUS_TEST_SEED'] ?? 20260105)
  t.diagnostic(`seed ${seed}`)
  const random = seeded(seed)
  const { delivery, send, act, sink, until, kindsOf, whereIs } = await operated(t, { slowMs: 150 })
  const settings = { DELIVERY_RETRY_FIRST_MS: '200', DELIVERY_RETRY_LONGEST_MS: '400', DELIVERY_ACT_WAIT_MS: '50' }
  let { stop } = await delivery(settings)
  const tasks: MailOut[] = []
  for (let number = 1; number <= 60; number++) {
    const kind = ['ann', 'greylist', 'tempfail', 'slow'][number % 4]
    tasks.push(...(await send(queueId(number), [`${kind}${number}@far.test`])))
  }
  const cancelled = new Set<MailOut>()
  const acts = [retry, hold, release, hold, release, cancel]
  for (let round = 0; round < 120; round++) {
    const chosen = Array.from({ length: 5 }, () => tasks[random(tasks.length)]).filter((task) => task !== undefined)
    const what = acts[random(acts.length)] ?? retry
    if (round % 40 === 20) {
      const stopping = stop()
      stop = (await delivery(settings)).stop
      await stopping
    }
    const results = await insist(() => act(what, ...chosen))
    for (const [index, task] of chosen.entries()) {
      if (what.kind === 'cancel' && results[index] === 'done') cancelled.add(task)
    }
  }
  const ends = ['relayed', 'cancelled'] as const
  const ended = (task: MailOut): boolean => ends.some((end) => kindsOf(task).includes(end))
  const deadline = Date.now() + 60_000
  for (let left = tasks; left.length > 0 && Date.now() < deadline; left = tasks.filter((task) => !ended(task))) {
    const neverTaken = left.filter(({ forwardPath }) => forwardPath.startsWith('tempfail'))
    if (neverTaken.length > 0) {
      const results = await insist(() => act(cancel, ...neverTaken))
      for (const [index, task] of neverTaken.entries()) if (results[index] === 'done') cancelled.add(task)
    }
    await insist(() => act(release, ...left))
  }
  await until(() => tasks.every(ended))
  const arrived = sink.messages.flatMap(({ recipients }) => recipients.map(({ forwardPath }) => forwardPath))
  assert.equal(new Set(arrived).size, arrived.length, 'delivered twice')
  for (const task of tasks) {
    const came = arrived.includes(task.forwardPath)
    assert.equal(came, kindsOf(task).includes('relayed'), `the books are wrong about ${task.forwardPath}`)
    assert.ok(!(came && cancelled.has(task)), `${task.forwardPath} was delivered though cancelled`)
  }
  while ((await Promise.all(tasks.map(whereIs))).flat().length > 0);
  t.diagnostic(`${cancelled.size} cancelled, ${arrived.length} delivered`)
})

test('thousands are cancelled in a breath', { timeout: 120_000 }, async (t) => {
  const count = Number(process.env['POSTBUS_TEST_BULK'] ?? 3000)
  const { delivery, bus, act, ledgerFile, statuses, until } = await operated(t)
  const publisher = await bus('delivery')
  const ledger = await sqlLedger(openSqlite<Tables>(ledgerFile))
  const at = new Date(Date.now() + 3_600_000)
  const tasks = Array.from({ length: count }, (_, index) =>
    taskTo(`user${index}@far.test`, {
      ...{ queueId: QueueId.parse(queueId(index)), n: RecipientKey.parse(index.toString(16).padStart(16, '0')) },
      attempt: 2,
    }),
  )
  const inBlocks = async (size: number, atOnce: number, work: (block: MailOut[]) => Promise<unknown>) => {
    const blocks = Array.from({ length: Math.ceil(count / size) }, (_, index) =>
      tasks.slice(index * size, (index + 1) * size),
    )
    await Promise.all(
      Array.from({ length: atOnce }, async () => {
        for (let block = blocks.shift(); block; block = blocks.shift()) await work(block)
      }),
    )
  }
  await inBlocks(500, 4, (block) =>
    Promise.all(
      block.map(async (task) => {
        const { queueId, n, incarnation } = task
        const outcome: Outcome = {
          ...{ kind: 'deferred', at: at.toISOString(), nextAttemptAt: at.toISOString() },
          ...{ status: '4.2.0', reason: 'later' },
        }
        await ledger.commit({ queueId, n, incarnation, attempt: 1, outcome })
        await publisher.publish(MailOutLater, task, { schedule: { at, target: MailOut.subject(task) } })
      }),
    ),
  )
  await ledger.close()
  await delivery(quiet)
  const first = tasks[0] ?? assert.fail('no tasks')
  await insist(() => act(hold, first))
  for (const [name, what] of Object.entries({ hold, cancel })) {
    const begun = performance.now()
    await inBlocks(500, 4, async (block) => {
      const results = await act(what, ...block)
      assert.deepEqual(new Set(results), new Set(['done']))
    })
    const seconds = (performance.now() - begun) / 1000
    t.diagnostic(`${name}: ${count} in ${seconds.toFixed(2)} s, ${Math.round(count / seconds)}/s`)
  }
  await until(() => statuses.filter(({ kind }) => kind === 'cancelled').length === count)
})
