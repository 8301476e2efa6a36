/** What any storage of the books must do. Each adapter's test runs this suite over itself. */
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'

import { entryOf, MAX_RECIPIENTS_PER_PAGE, type QueueId, type Status } from '@postbus/contracts'
import fc from 'fast-check'

import { type DueMessage, planReports, type ReportPlan } from '../src/report/plan.ts'
import { type Books, type BooksWriter, Superseded } from '../src/tracking/books.ts'
import { balanceContract } from './balance.contract.ts'
import { overdueContract } from './overdue.contract.ts'
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
} from './samples.ts'
import { queueContract } from './queue.contract.ts'

export interface BooksFixture {
  books: Books
  /** The same storage, opened by another process. */
  again(): Promise<Books>
}

export type OpenBooks = (
  t: TestContext,
  options: { overdueMs: number; gatherMs: number; delayMs: number; historyKept: number; now(): number },
) => Promise<BooksFixture>

/** Empty books, and who leads them. */
export type Begin = (t: TestContext) => Promise<{ books: Books; writer: BooksWriter } & BooksFixture>

const NAMES = { from: 'MAILER-DAEMON@example.org', reportingMta: 'mail.example.org' }
const OVERDUE_MS = 600_000
const GATHER_MS = 120_000
const DELAY_MS = 3_600_000
const HISTORY_KEPT = 4
const minute = (minutes: number): Date => new Date(time(minutes))

export function booksContract(name: string, open: OpenBooks): void {
  const clock = { minutes: 5 }
  const options = {
    overdueMs: OVERDUE_MS,
    gatherMs: GATHER_MS,
    delayMs: DELAY_MS,
    historyKept: HISTORY_KEPT,
    now: () => minute(clock.minutes).getTime(),
  }

  const begin: Begin = async (t) => {
    clock.minutes = 5
    const fixture = await open(t, options)
    return { ...fixture, writer: await fixture.books.lead(1) }
  }

  queueContract(name, begin)
  balanceContract(name, begin)
  overdueContract(name, begin)

  const one = queueIdOf(1)
  const accepted = acceptedMessage(one, ['jones@example.org', 'ann@far.test'])
  const routed = [
    routedOf(accepted, [finalOf('jones', local)], { original: 0 }),
    routedOf(accepted, [finalOf('ann', remote)], { original: 1 }),
  ]
  const phaseOf = async (books: Books, queueId: QueueId) => (await books.find(queueId))?.phase

  test(`${name}: a message is settled when all originals are routed and all finals have ended, not before`, async (t) => {
    const { books, writer } = await begin(t)
    const steps: [Status, string | undefined][] = [
      [statusOf(one, 'ann', 'relayed', { attempt: 1 }), undefined],
      [routed[0] as Status, 'open'],
      [statusOf(one, 'jones', 'delivered'), 'open'],
      [routed[1] as Status, 'settled'],
    ]
    for (const [status, phase] of steps) {
      await writer.record([status])
      assert.equal(await phaseOf(books, one), phase)
    }
  })

  test(`${name}: what is held keeps its message open; what an operator cancelled ends it`, async (t) => {
    const { books, writer } = await begin(t)
    await writer.record([...routed, statusOf(one, 'jones', 'delivered')])
    const steps: [Status, string][] = [
      [statusOf(one, 'ann', 'held', { attempt: 2 }), 'open'],
      [statusOf(one, 'ann', 'released', { attempt: 2 }), 'open'],
      [statusOf(one, 'ann', 'held', { attempt: 3 }), 'open'],
      [statusOf(one, 'ann', 'cancelled', { attempt: 4 }), 'settled'],
    ]
    for (const [status, phase] of steps) {
      await writer.record([status])
      assert.equal(await phaseOf(books, one), phase)
    }
  })

  test(`${name}: a status that comes before its routed is kept, and counts once the recipient is named`, async (t) => {
    const { books, writer } = await begin(t)
    await writer.record([statusOf(one, 'jones', 'delivered'), routed[1] as Status])
    await writer.adopt([accepted])
    assert.deepEqual(
      (await books.find(one))?.recipients.map(({ n }) => n),
      [keyOf('ann')],
    )
    await writer.record([routed[0] as Status])
    const jones = (await books.find(one))?.recipients.find(({ n }) => n === keyOf('jones'))
    assert.equal(jones?.status?.kind, 'delivered')
  })

  test(`${name}: a recipient merged into another holds nothing up`, async (t) => {
    const { books, writer } = await begin(t)
    const merged = finalOf('also-jones', { kind: 'merged', into: keyOf('jones') })
    await writer.record([
      routed[0] as Status,
      routedOf(accepted, [merged], { original: 1 }),
      statusOf(one, 'jones', 'delivered'),
    ])
    assert.equal(await phaseOf(books, one), 'settled')
    assert.equal((await books.find(one))?.recipients.length, 2)
  })

  test(`${name}: recipients of all runs count`, async (t) => {
    const { books, writer } = await begin(t)
    const later = [finalOf('brown', local)]
    await writer.record([...routed, routedOf(accepted, later, { original: 0, incarnation: 1 })])
    await writer.record([statusOf(one, 'jones', 'delivered'), statusOf(one, 'ann', 'relayed', { attempt: 1 })])
    assert.equal(await phaseOf(books, one), 'open')
    await writer.record([statusOf(one, 'brown', 'delivered', { incarnation: 1 })])
    assert.equal(await phaseOf(books, one), 'settled')
  })

  test(`${name}: an ended recipient never reopens`, async (t) => {
    const { books, writer } = await begin(t)
    await writer.record([
      ...routed,
      statusOf(one, 'jones', 'delivered'),
      statusOf(one, 'ann', 'relayed', { attempt: 1 }),
    ])
    await writer.record([statusOf(one, 'ann', 'deferred', { attempt: 7, incarnation: 3 })])
    assert.equal(await phaseOf(books, one), 'settled')
  })

  test(`${name}: pages of different runs do not add up to one routed`, async (t) => {
    const { books, writer } = await begin(t)
    const message = acceptedMessage(one, ['list@example.org'])
    const page = (number: number, incarnation: number, of: string): Status =>
      routedOf(message, [finalOf(of, local)], { page: number, pages: 2, incarnation })
    await writer.record([page(1, 0, 'a'), statusOf(one, 'a', 'delivered'), statusOf(one, 'b', 'delivered')])
    await writer.record([page(2, 1, 'b')])
    assert.equal(await phaseOf(books, one), 'open')
    await writer.record([page(1, 1, 'a')])
    assert.equal(await phaseOf(books, one), 'settled')
  })

  test(`${name}: any order and any repetition of the same statuses give the same books`, async (t) => {
    const { books, writer } = await begin(t)
    const message = (queueId: QueueId): Status[] => {
      const event = acceptedMessage(queueId, ['list@example.org', 'ann@far.test'])
      const members = [finalOf('jones', local), finalOf('green', ended), finalOf('brown', local)]
      return [
        routedOf(event, members.slice(0, 2), { page: 1, pages: 2 }),
        routedOf(event, members.slice(2), { page: 2, pages: 2 }),
        routedOf(event, [finalOf('ann', remote), finalOf('jones2', { kind: 'merged', into: keyOf('jones') })], {
          original: 1,
        }),
        routedOf(event, [finalOf('ann', remote), finalOf('jones2', local)], { original: 1, incarnation: 1 }),
        statusOf(queueId, 'green', 'failed', { rule: 'unknown' }),
        statusOf(queueId, 'jones', 'delivered', { at: time(3) }),
        statusOf(queueId, 'jones', 'delivered', { at: time(4) }),
        statusOf(queueId, 'jones2', 'delivered', { incarnation: 1 }),
        statusOf(queueId, 'brown', 'deferred', { attempt: 0 }),
        statusOf(queueId, 'brown', 'dead'),
        statusOf(queueId, 'ann', 'deferred', { attempt: 1 }),
        statusOf(queueId, 'ann', 'deferred', { attempt: 2, nextAttemptAt: time(50) }),
        statusOf(queueId, 'ann', 'held', { attempt: 3 }),
        statusOf(queueId, 'ann', 'released', { attempt: 3 }),
        statusOf(queueId, 'ann', 'relayed', { attempt: 3, incarnation: 1 }),
        statusOf(queueId, 'ann', 'failed', { attempt: 3, incarnation: 1, status: '5.7.1' }),
        statusOf(queueId, 'nobody', 'delivered'),
      ]
    }
    let number = 100
    const page = async (statuses: (queueId: QueueId) => Status[], cuts: number[]): Promise<string> => {
      const queueId = queueIdOf(number++)
      const all = statuses(queueId)
      const batches = [0, ...cuts, all.length].sort((a, b) => a - b)
      for (let index = 1; index < batches.length; index++) {
        await writer.record(all.slice(batches[index - 1], batches[index]))
      }
      const found = await books.find(queueId)
      const histories = await Promise.all((found?.recipients ?? []).map(({ n }) => books.findHistory(queueId, n)))
      return JSON.stringify([found, histories]).replaceAll(queueId, 'it')
    }
    const expected = await page(message, [])
    const indexes = message(one).map((_, index) => index)
    const shuffled = fc
      .array(fc.constantFrom(...indexes), { maxLength: 8 })
      .chain((repeated) =>
        fc.shuffledSubarray([...indexes, ...repeated], { minLength: indexes.length + repeated.length }),
      )
    await fc.assert(
      fc.asyncProperty(shuffled, fc.array(fc.nat({ max: indexes.length }), { maxLength: 5 }), async (order, cuts) => {
        const actual = await page((queueId) => order.map((index) => message(queueId)[index] as Status), cuts)
        assert.equal(actual, expected)
      }),
      { numRuns: 60 },
    )
  })

  test(`${name}: a record is free to go only with a durable tombstone, and stays so until it is known to be gone`, async (t) => {
    const { books, writer, again } = await begin(t)
    await writer.record([
      ...routed,
      statusOf(one, 'jones', 'delivered'),
      statusOf(one, 'ann', 'relayed', { attempt: 1 }),
    ])
    assert.deepEqual(await writer.bury(10), [one])
    assert.equal(await phaseOf(books, one), 'buried')
    // Custody dies here; its successor finds the same work.
    const successor = await (await again()).lead(2)
    assert.deepEqual(await successor.bury(10), [one])
    await successor.freed([one], minute(9))
    assert.deepEqual(await successor.bury(10), [])
    assert.deepEqual((await books.find(one))?.freedAt, minute(9))
  })

  test(`${name}: what is buried is never taken up again, not even when its page is forgotten`, async (t) => {
    const { books, writer } = await begin(t)
    const all = [...routed, statusOf(one, 'jones', 'delivered'), statusOf(one, 'ann', 'relayed', { attempt: 1 })]
    await writer.record(all)
    await writer.bury(10)
    await writer.freed([one], minute(6))
    for (const forgotten of [false, true]) {
      if (forgotten) assert.equal(await writer.prune(minute(7), minute(0), 10), 1)
      assert.deepEqual(await writer.record(all), [])
      await writer.adopt([accepted])
      assert.deepEqual(await writer.overdueMessages(minute(10_000), 10), [])
      assert.equal(await writer.raiseIncarnation(one, 0), null)
    }
    assert.equal(await books.find(one), null)
    clock.minutes = 5
    assert.equal(await writer.prune(minute(7), minute(6), 10), 1)
  })

  test(`${name}: a message with a failure somebody must hear of keeps its record`, async (t) => {
    const { books, writer } = await begin(t)
    const cases: [object, object[], string][] = [
      [{}, [{}], 'reportDue'],
      [{}, [{ notify: ['FAILURE', 'DELAY'] }], 'reportDue'],
      [{}, [{ notify: ['NEVER'] }], 'settled'],
      [{}, [{ notify: ['DELAY'] }], 'settled'],
      // Whether the address stands for others is decided about first.
      [{}, [{ notify: ['SUCCESS'] }], 'reportDue'],
      [{ reversePath: '' }, [{}], 'settled'],
    ]
    for (const [index, [changes, [parameters], phase]] of cases.entries()) {
      const queueId = queueIdOf(10 + index)
      const event = acceptedMessage(queueId, [], {
        recipients: [{ forwardPath: 'green@example.org', ...parameters }],
        ...changes,
      })
      const final = finalOf('green', ended, event.envelope.reversePath)
      await writer.record([statusOf(queueId, 'green', 'failed'), routedOf(event, [final])])
      assert.equal(await phaseOf(books, queueId), phase, JSON.stringify(cases[index]))
    }
    // What the author asked for says nothing about a list's own failures — RFC 3461 §5.2.7.3.
    const queueId = queueIdOf(20)
    const event = acceptedMessage(queueId, [], { recipients: [{ forwardPath: 'list@example.org', notify: ['NEVER'] }] })
    await writer.record([
      routedOf(event, [finalOf('green', ended, 'list-owner@example.org')]),
      statusOf(queueId, 'green', 'failed'),
    ])
    assert.equal(await phaseOf(books, queueId), 'reportDue')
  })

  test(`${name}: news is decided about once, and the record stays until every plan is done`, async (t) => {
    const { books, writer, again } = await begin(t)
    await writer.record([...routed, statusOf(one, 'jones', 'failed')])
    assert.equal(await writer.hasNews(minute(5)), false)
    assert.equal(await writer.hasNews(minute(7)), true)
    const decided: DueMessage[] = []
    const decide = (due: DueMessage): ReportPlan[] => {
      decided.push(due)
      return planReports(due, minute(7), NAMES)
    }
    assert.deepEqual(await writer.planReports(minute(7), 10, decide), [one])
    assert.deepEqual(await writer.planReports(minute(7), 10, decide), [])
    assert.equal(decided.length, 1)
    const [plan, ...others] = await (await again()).lead(2).then((successor) => successor.plannedReports(minute(7), 10))
    assert.ok(plan)
    assert.deepEqual(others, [])

    const leader = await books.lead(3)
    await leader.record([statusOf(one, 'ann', 'delivered')])
    assert.equal(await phaseOf(books, one), 'reportDue')
    await leader.postponeReport(plan.queueId, minute(9))
    assert.deepEqual(await leader.plannedReports(minute(8), 10), [])
    assert.deepEqual(await leader.plannedReports(minute(9), 10), [plan])
    const report = acceptedMessage(plan.queueId, ['smith@example.org'], { reversePath: '' })
    // The report may be through before it is noted that it was sent; its record must not go, or it would be put again.
    await leader.record([routedOf(report, [finalOf('smith', local, '')]), statusOf(plan.queueId, 'smith', 'delivered')])
    assert.deepEqual(await leader.bury(10), [])
    for (let times = 0; times < 2; times++) await leader.reported(plan, report, minute(9))
    assert.equal(await phaseOf(books, one), 'settled')
    assert.deepEqual(new Set(await leader.bury(10)), new Set([one, plan.queueId]))
    await leader.freed([one, plan.queueId], minute(9))
    assert.ok(await books.isKnown(plan.queueId))
    assert.equal(await leader.prune(minute(10), minute(0), 10), 2)
    assert.ok(await books.isKnown(plan.queueId), 'by its tombstone')
    assert.equal(await books.isKnown(queueIdOf(3)), false)
  })

  test(`${name}: a report nobody heard of again is looked for like any message`, async (t) => {
    const { writer } = await begin(t)
    await writer.record([...routed, statusOf(one, 'jones', 'failed'), statusOf(one, 'ann', 'delivered')])
    await writer.planReports(minute(5), 10, (due) => planReports(due, minute(5), NAMES))
    const [plan] = await writer.plannedReports(minute(5), 10)
    assert.ok(plan)
    await writer.reported(plan, acceptedMessage(plan.queueId, ['smith@example.org'], { reversePath: '' }), minute(5))
    const [overdue] = await writer.overdueMessages(minute(15), 10)
    assert.equal(overdue?.queueId, plan.queueId)
  })

  test(`${name}: an end that is corrected before anybody was told is not told`, async (t) => {
    const { writer } = await begin(t)
    await writer.record([...routed, statusOf(one, 'jones', 'failed')])
    await writer.record([statusOf(one, 'jones', 'delivered')])
    assert.equal(await writer.hasNews(minute(1000)), false)
  })

  test(`${name}: a former leader cannot write`, async (t) => {
    const { writer, books, again } = await begin(t)
    const other = await again()
    await other.lead(2)
    const [entry, to] = [entryOf(accepted), 'smith@example.org']
    const plan = {
      ...{ queueId: one, kind: 'failure' as const, entry, to, recipients: [] },
      ...NAMES,
      plannedAt: time(1),
    }
    const attempts = [
      () => writer.record(routed),
      () => writer.adopt([accepted]),
      () => writer.readReport(one, [], 1),
      () => writer.bury(1),
      () => writer.planReports(minute(1), 1, () => []),
      () => writer.postponeReport(one, minute(1)),
      () => writer.reported(plan, accepted, minute(1)),
      () => writer.freed([one], minute(1)),
      () => writer.prune(minute(1), minute(1), 1),
      () => writer.postponeMessages([one], minute(1)),
      () => writer.postponeRecipients([{ queueId: one, n: keyOf('ann') }], minute(1)),
      () => writer.raiseIncarnation(one, 0),
    ]
    for (const attempt of attempts) await assert.rejects(attempt(), Superseded)
    assert.equal(await books.find(one), null)
  })

  test(`${name}: the numbers are those of the books`, async (t) => {
    const { books, writer } = await begin(t)
    const big = acceptedMessage(queueIdOf(2), ['list@example.org'])
    const finals = Array.from({ length: MAX_RECIPIENTS_PER_PAGE }, (_, index) => finalOf(`m${index}`, local))
    await writer.record([...routed, routedOf(big, finals), statusOf(one, 'jones', 'delivered')])
    await writer.record([statusOf(one, 'ann', 'relayed', { attempt: 1 })])
    assert.deepEqual(await books.count(), {
      phases: { open: 1, reportDue: 0, settled: 1, buried: 0 },
      openRecipients: MAX_RECIPIENTS_PER_PAGE,
    })
  })

  test(`${name}: the oldest that somebody could work on, and nothing that waits for its time or a person`, async (t) => {
    const { books, writer } = await begin(t)
    const nobody = { routing: null, mailbox: null, attempt: null }
    const at = (minutes: number): number => minute(minutes).getTime()
    assert.deepEqual(await books.oldestReady(), nobody)
    await writer.adopt([accepted])
    assert.deepEqual(await books.oldestReady(), { ...nobody, routing: at(5) })
    await writer.record(routed)
    assert.deepEqual(await books.oldestReady(), { ...nobody, mailbox: at(5), attempt: at(0) })
    await writer.record([statusOf(one, 'jones', 'delivered'), statusOf(one, 'ann', 'deferred', { attempt: 1 })])
    assert.deepEqual(await books.oldestReady(), { ...nobody, attempt: at(30) })
    await writer.record([statusOf(one, 'ann', 'held', { attempt: 2 })])
    assert.deepEqual(await books.oldestReady(), nobody)
  })
}
