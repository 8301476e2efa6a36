import assert from 'node:assert/strict'
import { test } from 'node:test'

import { BusUnavailable, DependencyUnavailable } from '@postbus/bus'
import type { MailOut, Status } from '@postbus/contracts'
import { CorruptRecord, NoSuchRecord } from '@postbus/spool'
import { pino } from 'pino'

import { taskTo, time } from '../../test/samples.ts'
import { type LedgerEntry, LedgerUnavailable } from '../attempt/ledger.ts'
import type { Outcome } from '../attempt/outcome.ts'
import { Turns } from '../attempt/turns.ts'
import type { Submission } from '../lanes/scheduler.ts'
import { onMailOut } from './mail-out.ts'

const relayed: Outcome = { kind: 'relayed', at: time(1), mxHost: 'mx.far.test', reply: '250 ok', dsn: true }
const deferred: Outcome = {
  ...{ kind: 'deferred', at: time(1), status: '4.2.0', reason: 'later', reply: '450 later' },
  nextAttemptAt: time(6),
}
const context = { log: pino({ level: 'silent' }), deliveries: 1, signal: new AbortController().signal }

function world(outcome: Outcome | Error, submissions: Submission<Outcome>[] = []) {
  const ledger = new Map<string, LedgerEntry>()
  const statuses: Status[] = []
  const retries: { task: MailOut; at: Date | undefined; target: string | undefined }[] = []
  const holds: unknown[] = []
  let attempts = 0
  let failing: Error | null = null
  const handler = onMailOut({
    ledger: { find: async ({ queueId, n }) => ledger.get(`${queueId}${n}`) ?? null },
    async attempt({ queueId, n, attempt, incarnation }) {
      attempts++
      const submission = submissions.shift()
      if (submission) return submission
      if (outcome instanceof Error) throw outcome
      await new Promise((resolve) => setImmediate(resolve))
      ledger.set(`${queueId}${n}`, { queueId, n, attempt, incarnation, outcome })
      return { kind: 'done', outcome }
    },
    async writeStatuses(all) {
      if (failing) throw failing
      statuses.push(...all)
    },
    async publish(contract, task, options) {
      if (failing) throw failing
      if (contract.name === 'mail.hold') return void holds.push(task)
      const { schedule } = options ?? {}
      retries.push({ task: task as MailOut, at: schedule?.at, target: schedule?.target })
    },
    turns: new Turns(),
    async clearHold() {},
    counted: () => {},
  })
  return {
    ...{ statuses, retries, holds, ledger },
    run: (task: MailOut) => handler(task, context),
    attempts: () => attempts,
    breakBus: (error: Error | null) => {
      failing = error
    },
  }
}

const task = taskTo('ann@far.test')

test('a relayed recipient is delivered once, however often its task comes', async () => {
  const { run, statuses, attempts } = world(relayed)
  for (let time = 0; time < 3; time++) assert.deepEqual(await run(task), { kind: 'done' })
  assert.equal(attempts(), 1)
  assert.deepEqual(statuses[1], statuses[0])
})

test('two copies of a task at the same time make one attempt', async () => {
  const { run, attempts } = world(relayed)
  await Promise.all([run(task), run(task), run(task)])
  assert.equal(attempts(), 1)
})

test('a deferred recipient becomes the next attempt, scheduled into its own work subject', async () => {
  const { run, retries, statuses, attempts } = world(deferred)
  await run(task)
  await run(task)
  assert.equal(attempts(), 1)
  assert.deepEqual(retries[1], retries[0])
  const [retry] = retries
  assert.deepEqual(
    [retry?.task.attempt, retry?.task.firstAttemptAt, retry?.task.lastReply, retry?.at, retry?.target],
    [
      2,
      time(1),
      '450 later',
      new Date(time(6)),
      `mail.out.v1.0.q.${retry?.target?.split('.')[5]}.far~test.${task.queueId}.${task.n}`,
    ],
  )
  assert.equal(statuses[0]?.kind === 'deferred' && statuses[0].attempt, 1)
})

test('the last reply stays with the task when a later attempt cannot even connect', async () => {
  const { reply: _, ...away } = deferred
  const { run, retries } = world(away)
  await run({ ...task, attempt: 2, lastReply: '450 4.7.1 greylisted' })
  assert.equal(retries[0]?.task.lastReply, '450 4.7.1 greylisted')
})

test('a later attempt is made even if an earlier one was deferred', async () => {
  const { run, attempts, retries } = world(deferred)
  await run(task)
  await run({ ...task, attempt: 2 })
  assert.equal(attempts(), 2)
  assert.equal(retries[1]?.task.attempt, 3)
})

test('an older copy that custody brought back continues where the ledger is, under the new incarnation', async () => {
  const { run, attempts, retries, statuses } = world(deferred)
  await run({ ...task, attempt: 4 })
  await run({ ...task, attempt: 2, incarnation: 1 })
  assert.equal(attempts(), 1)
  assert.deepEqual([retries[1]?.task.attempt, retries[1]?.task.incarnation, retries[1]?.at], [5, 1, new Date(time(6))])
  assert.deepEqual([statuses[1]?.incarnation, statuses[1] && 'attempt' in statuses[1] && statuses[1].attempt], [1, 4])
})

test('a held recipient is kept whole for an operator', async () => {
  const held: Outcome = { kind: 'held', at: time(1), rule: 'transport careful: look at it' }
  const { run, statuses, holds, attempts } = world(held)
  await run(task)
  await run(task)
  assert.equal(attempts(), 1)
  assert.deepEqual(holds[1], holds[0])
  assert.deepEqual(holds[0], { task, heldAt: time(1), rule: held.rule })
  assert.deepEqual(statuses[0], {
    ...{ ...held, queueId: task.queueId, n: task.n, incarnation: 0, attempt: 1, site: 'far.test' },
  })
})

test('a bus that does not confirm costs no second delivery', async () => {
  const { run, attempts, breakBus, statuses } = world(relayed)
  breakBus(new BusUnavailable('away'))
  await assert.rejects(run(task), DependencyUnavailable)
  breakBus(null)
  assert.deepEqual(await run(task), { kind: 'done' })
  assert.equal(attempts(), 1)
  assert.equal(statuses.length, 1)
})

test('a ledger that cannot be read or written costs the message nothing', async () => {
  await assert.rejects(world(new LedgerUnavailable('full')).run(task), DependencyUnavailable)
})

test('a message without a readable record goes to an operator, and anything unexpected is tried again', async () => {
  for (const error of [new NoSuchRecord('none'), new CorruptRecord(task.queueId, 'checksum')]) {
    assert.equal((await world(error).run(task)).kind, 'reject')
  }
  await assert.rejects(world(new Error('disk')).run(task), /disk/)
})

test('a task that is put back is the same again later, and nobody is told', async () => {
  const until = new Date(time(3))
  const { run, retries, statuses, ledger } = world(relayed, [{ kind: 'spill', until }])
  assert.deepEqual(await run({ ...task, spills: 1, attempt: 2 }), { kind: 'done' })
  const [later] = retries
  assert.deepEqual([later?.task.attempt, later?.task.spills, later?.at], [2, 2, until])
  assert.match(later?.target ?? '', /\.q\./)
  assert.deepEqual([statuses.length, ledger.size], [0, 0])
})

test('a task that cannot be put back stays in hand', async () => {
  const { run, breakBus } = world(relayed, [{ kind: 'spill', until: new Date(time(3)) }])
  breakBus(new BusUnavailable('away'))
  await assert.rejects(run(task), DependencyUnavailable)
})
