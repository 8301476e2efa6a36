import assert from 'node:assert/strict'
import { test } from 'node:test'

import {
  type Act,
  type ActResult,
  MailHold,
  MailOut,
  MailOutLater,
  type QueuedTask,
  type Status,
} from '@postbus/contracts'
import { pino } from 'pino'

import { Died, memoryBus, standing } from '../../test/memory-bus.ts'
import { taskTo, time } from '../../test/samples.ts'
import { queueOnBus } from '../adapters/queue-on-bus.ts'
import type { LedgerEntry } from '../attempt/ledger.ts'
import type { Outcome } from '../attempt/outcome.ts'
import type { Submission } from '../lanes/scheduler.ts'
import { Turns } from '../attempt/turns.ts'
import { onMailOut } from '../handlers/mail-out.ts'
import { actOn } from './act.ts'

const task = taskTo('ann@far.test', { attempt: 3 })
const context = { log: pino({ level: 'silent' }), deliveries: 1, signal: new AbortController().signal }
const waiting = (_task: MailOut, signal: AbortSignal): Promise<never> =>
  new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason)
    else signal.addEventListener('abort', () => reject(signal.reason), { once: true })
  })

/** Where the task is when the operator comes. */
type Start = 'scheduled' | 'work' | 'never tried' | 'held' | 'spilled'

function world(start: Start) {
  const memory = memoryBus()
  const { bus, ledger, writeStatuses, statuses, entries } = memory
  const attempts: MailOut[] = []
  let turns = new Turns()
  const relay = async ({ queueId, n, attempt, incarnation, ...rest }: MailOut): Promise<Outcome> => {
    attempts.push({ queueId, n, attempt, incarnation, ...rest })
    const outcome: Outcome = { kind: 'relayed', at: time(9), mxHost: 'mx.far.test', reply: '250 ok', dsn: false }
    await ledger.commit({ queueId, n, attempt, incarnation, outcome })
    return outcome
  }
  const handle = (copy: MailOut, outcomeOf: (task: MailOut, signal: AbortSignal) => Promise<Outcome> = relay) => {
    const attempt = async (of: MailOut, signals: readonly AbortSignal[]): Promise<Submission<Outcome>> => ({
      kind: 'done',
      outcome: await outcomeOf(of, AbortSignal.any([...signals])),
    })
    const queue = queueOnBus(bus)
    const handler = onMailOut({
      ...{ ledger, turns, attempt, writeStatuses, publish: bus.publish, counted: () => {} },
      async clearHold(of) {
        const held = await queue.look('hold', of)
        if (held !== null && held.task.attempt < of.attempt) await queue.removeHeld(held)
      },
    })
    return handler(copy, context)
  }
  const world = {
    ...memory,
    attempts,
    handle,
    entry: (): LedgerEntry | undefined => entries.values().toArray()[0],
    act(act: Act, changes: Partial<QueuedTask> = {}): Promise<ActResult> {
      const { queueId, n, site, shard } = task
      const queued = { queueId, n, site, shard, attempt: start === 'never tried' ? 0 : 2, ...changes }
      const now = () => new Date(time(8))
      const ports = { ledger, turns, queue: queueOnBus(bus), writeStatuses, now, waitMs: 1 }
      return actOn(queued, { act, by: 'ann' }, ports)
    },
    /** Another process takes the lane. */
    begin() {
      memory.dieAt(null)
      turns = new Turns()
    },
    /** All that is due is done. */
    async run() {
      for (;;) {
        memory.fire()
        const next = memory.nextWork()
        if (next === null) return
        await handle(next)
      }
    },
    standing: () => standing(statuses),
    async begun() {
      const schedule = { at: new Date(time(60)), target: MailOut.subject(task) }
      const { queueId, n, incarnation } = task
      const deferred: Outcome = {
        ...{ kind: 'deferred', at: time(1), nextAttemptAt: time(60), status: '4.2.0', reason: 'later' },
      }
      if (start !== 'never tried') await ledger.commit({ queueId, n, incarnation, attempt: 2, outcome: deferred })
      if (start === 'scheduled') await bus.publish(MailOutLater, task, { schedule })
      if (start === 'spilled') await bus.publish(MailOutLater, { ...task, spills: 2 }, { schedule })
      if (start === 'work') await bus.publish(MailOut, task)
      if (start === 'never tried') await bus.publish(MailOut, { ...task, attempt: 1 })
      if (start === 'held') {
        const held: Outcome = { kind: 'held', at: time(2), rule: 'operator' }
        await ledger.commit({ queueId, n, incarnation, attempt: 3, outcome: held })
        await writeStatuses([{ queueId, n, incarnation, attempt: 3, site: task.site, ...held }])
        await bus.publish(MailHold, { task, heldAt: time(2), rule: 'operator' })
      }
      return world
    },
  }
  return world.begun()
}

const retry: Act = { kind: 'retry' }
const hold: Act = { kind: 'hold', rule: 'operator' }
const release: Act = { kind: 'release' }
const cancel: Act = { kind: 'cancel', report: false }
const refuse: Act = { kind: 'cancel', report: true }
const reroute: Act = { kind: 'reroute', via: 'smtp:relay.test:2525' }
const starts: readonly Start[] = ['scheduled', 'spilled', 'work', 'never tried', 'held']
const acts: readonly Act[] = [retry, hold, release, cancel, refuse, reroute]

test('what becomes of a task, by where it is and what is done to it, once and twice', async () => {
  const results: Record<Start, string[]> = {
    scheduled: ['done done', 'done done', 'notHeld notHeld', 'done ended', 'done ended', 'done done'],
    spilled: ['done done', 'done done', 'notHeld notHeld', 'done ended', 'done ended', 'done done'],
    work: ['done done', 'done done', 'notHeld notHeld', 'done ended', 'done ended', 'done done'],
    'never tried': ['done done', 'done done', 'notHeld notHeld', 'done ended', 'done ended', 'done done'],
    held: ['held held', 'done done', 'done done', 'done ended', 'done ended', 'done done'],
  }
  for (const start of starts) {
    for (const [index, act] of acts.entries()) {
      const w = await world(start)
      assert.equal(`${await w.act(act)} ${await w.act(act)}`, results[start][index], `${act.kind} of ${start}`)
    }
  }
})

test('a retry makes work of the schedule at once, as the next attempt', async () => {
  const w = await world('spilled')
  await w.act(retry)
  assert.deepEqual(w.schedules(), [])
  assert.deepEqual(w.work(), [{ ...task, attempt: 4, tries: 2, released: true }])
  await w.run()
  assert.deepEqual(
    [w.attempts.map(({ attempt }) => attempt), w.standing(), w.statuses.map(({ kind }) => kind)],
    [[4], 'relayed', ['released', 'relayed']],
  )
})

test('a held task is nowhere but in the hold, and its release is the attempt after the one held', async () => {
  for (const start of ['scheduled', 'spilled'] as const) {
    const w = await world(start)
    await w.act(hold)
    assert.deepEqual([w.schedules(), w.work(), w.holds().length, w.standing()], [[], [], 1, 'held'])
    assert.equal(await w.act(retry), 'held')
    assert.equal(await w.act(release), 'done')
    assert.deepEqual([w.holds(), w.work().map(({ attempt }) => attempt)], [[], [4]])
    await w.run()
    assert.deepEqual([w.attempts.length, w.standing()], [1, 'relayed'])
  }
})

test('a task that waits for its site is held, cancelled and rerouted without an attempt', async () => {
  for (const act of [hold, cancel, refuse, reroute]) {
    const w = await world('work')
    const copy = w.nextWork() ?? assert.fail('no work')
    // Handed to the handler, and not yet acknowledged.
    await w.bus.publish(MailOut, { ...copy, incarnation: 1 })
    const handled = w.handle(copy, async (of, signal) => (of.attempt === 3 ? waiting(of, signal) : assert.fail()))
    await new Promise((resolve) => setImmediate(resolve))
    assert.equal(await w.act(act), 'done', act.kind)
    assert.deepEqual(await handled, { kind: 'done' })
    assert.equal(w.holds().length, act === hold ? 1 : 0)
    await w.run()
    const relayed = w.attempts.map(({ attempt, via }) => [attempt, via])
    assert.deepEqual(relayed, act === reroute ? [[4, 'smtp:relay.test:2525']] : [])
  }
})

test('a task that waits for its site keeps its place when it is to be tried at once', async () => {
  const w = await world('work')
  const copy = w.nextWork() ?? assert.fail('no work')
  await w.bus.publish(MailOut, { ...copy, incarnation: 1 })
  let gaveWay = false
  const gate = Promise.withResolvers<Outcome>()
  const handled = w.handle(copy, (_task, signal) => {
    signal.addEventListener('abort', () => (gaveWay = true))
    return gate.promise
  })
  await new Promise((resolve) => setImmediate(resolve))
  assert.equal(await w.act(retry), 'done')
  assert.equal(gaveWay, false)
  gate.resolve({ kind: 'cancelled', at: time(9), by: 'nobody' })
  await handled
})

test('what is with the next hop right now is left alone, and said to be', async () => {
  const w = await world('work')
  const copy = w.nextWork() ?? assert.fail('no work')
  const gate = Promise.withResolvers<void>()
  const handled = w.handle(copy, async ({ queueId, n, attempt, incarnation }) => {
    await gate.promise
    const outcome: Outcome = { kind: 'relayed', at: time(9), mxHost: 'mx.far.test', reply: '250 ok', dsn: false }
    await w.ledger.commit({ queueId, n, attempt, incarnation, outcome })
    return outcome
  })
  await new Promise((resolve) => setImmediate(resolve))
  assert.equal(await w.act(cancel), 'attempting')
  gate.resolve()
  await handled
  assert.equal(await w.act(cancel), 'ended')
  assert.equal(w.standing(), 'relayed')
})

test('nothing is decided about what neither the ledger nor the bus know', async () => {
  const w = await world('never tried')
  w.nextWork()
  for (const act of acts) assert.equal(await w.act(act), 'unknown', act.kind)
  assert.equal(w.entry(), undefined)
  assert.deepEqual(w.statuses, [])
})

test('what the bus lost is decided all the same: custody brings it back, and the ledger answers it', async () => {
  for (const act of acts) {
    const w = await world('scheduled')
    w.fire()
    w.nextWork()
    assert.equal(await w.act(act), act === release ? 'notHeld' : 'done')
    await w.bus.publish(MailOut, { ...task, incarnation: 1 })
    await w.run()
    const ends = {
      retry: 'relayed',
      hold: 'held',
      release: 'relayed',
      cancel: 'cancelled',
      reroute: 'relayed',
    } as const
    assert.equal(w.standing(), act === refuse ? 'failed' : ends[act.kind])
  }
})

test('the books are told whether what was let go on is on the bus: custody need not wait to look for it', async () => {
  for (const act of [retry, reroute]) {
    const there = await world('scheduled')
    await there.act(act)
    const gone = await world('scheduled')
    gone.fire()
    gone.nextWork()
    await gone.act(act)
    await gone.act(act)
    const missing = (status: Status) => status.kind === 'released' && status.missing
    assert.deepEqual(there.statuses.map(missing), [undefined])
    assert.ok(gone.statuses.length > 0 && gone.statuses.every(missing))
  }
})

test('an act on what has ended tells the books again, and takes away what was left lying', async () => {
  const w = await world('held')
  const { queueId, n, incarnation } = task
  await w.ledger.commit({ queueId, n, incarnation, attempt: 4, outcome: { kind: 'cancelled', at: time(3), by: 'bob' } })
  assert.equal(await w.act(release), 'ended')
  assert.deepEqual([w.holds(), w.standing()], [[], 'cancelled'])
})

test('another way stays through deferrals and holds until yet another is chosen', async () => {
  const w = await world('scheduled')
  await w.act(reroute)
  const rerouted = w.nextWork() ?? assert.fail('no work')
  assert.equal(rerouted.via, 'smtp:relay.test:2525')
  await w.handle(rerouted, async ({ queueId, n, attempt, incarnation, via }) => {
    const outcome: Outcome = {
      ...{ kind: 'deferred', at: time(9), nextAttemptAt: time(99), status: '4.2.0', reason: 'later', via },
    }
    await w.ledger.commit({ queueId, n, attempt, incarnation, outcome })
    return outcome
  })
  await w.act(hold)
  await w.act(release)
  await w.act({ kind: 'reroute', via: 'mx:other.test' })
  await w.run()
  assert.deepEqual([w.attempts.length, w.attempts[0]?.via], [1, 'mx:other.test'])
})

/**
 * The process dies at every step of an act in turn. Then the operator asks again, or does not; the schedule fires, the task
 * comes up.
 */
test('an act cut short anywhere is finished when the task comes up or the operator asks again', async () => {
  let crashes = 0
  for (const start of starts) {
    for (const act of acts) {
      for (const again of [true, false]) {
        for (let step = 0; ; step++) {
          const w = await world(start)
          w.dieAt(step)
          const died = await w.act(act).then(
            () => false,
            (error: unknown) => error instanceof Died || assert.fail(String(error)),
          )
          if (!died) break
          crashes++
          w.begin()
          const decided = w.entry()?.outcome.kind
          if (again) await w.act(act)
          await w.run()
          if (w.standing() === 'held' && w.holds().length === 0) {
            // The books look for it, do not find it, and put it back; the operator, who had no answer, sees it held.
            await w.bus.publish(MailHold, { task: { ...task, incarnation: 1 }, heldAt: time(2), rule: 'operator' })
            await w.act(act)
          }
          const where = `${act.kind} of ${start}, died at ${step}${again ? ', asked again' : ''}`
          const end = w.standing()
          assert.ok(w.attempts.length <= 1, where)
          assert.deepEqual([w.work(), w.schedules()], [[], []], where)
          if (w.holds().length > 0) assert.equal(end, 'held', `${where}: held, and the books do not say so`)
          if (decided === 'cancelled' || decided === 'failed') {
            assert.equal(w.attempts.length, 0, `${where}: attempted after it was cancelled`)
          }
          const tried = end === 'relayed' && w.attempts.length === 1
          const kept = end === 'held' && w.holds().length === 1 && w.attempts.length === 0
          const ended = (end === 'cancelled' || end === 'failed') && w.holds().length === 0 && w.attempts.length === 0
          assert.ok(tried || kept || ended, `${where}: ${end}`)
          if (again) {
            const wanted = {
              retry: start === 'held' ? kept : tried,
              release: tried,
              hold: kept,
              cancel: ended,
              reroute: tried,
            }
            assert.ok(wanted[act.kind], `${where}: ${end}`)
          }
        }
      }
    }
  }
  assert.ok(crashes > 150, `${crashes}`)
})

test('a schedule that fires at any step of an act is answered by what was decided', async () => {
  for (const act of [retry, hold, cancel, refuse, reroute]) {
    for (let step = 0; step < 12; step++) {
      const w = await world('scheduled')
      let left = step
      const { publish } = w.bus
      w.bus.publish = async (...args) => {
        if (left-- === 0) w.fire()
        return publish(...args)
      }
      const { find } = w.ledger
      w.ledger.find = async (key) => {
        if (left-- === 0) w.fire()
        return find(key)
      }
      assert.equal(await w.act(act), 'done')
      await w.run()
      assert.ok(w.attempts.length <= 1)
      const ends = { retry: 'relayed', hold: 'held', cancel: 'cancelled', reroute: 'relayed' } as const
      assert.equal(w.standing(), act === refuse ? 'failed' : ends[act.kind as keyof typeof ends])
      assert.equal(w.attempts.length, act.kind === 'retry' || act.kind === 'reroute' ? 1 : 0)
    }
  }
})
