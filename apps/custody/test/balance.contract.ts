/** What any storage of the books must be able to say of both their sides. Part of books.contract.ts. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { BooksBalance, Status } from '@postbus/contracts'
import fc from 'fast-check'

import { balanceOf, isBalanced } from '../src/balance/balance.ts'
import { planReports } from '../src/report/plan.ts'
import type { Books } from '../src/tracking/books.ts'
import type { Begin } from './books.contract.ts'
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

const NAMES = { from: 'MAILER-DAEMON@example.org', reportingMta: 'mail.example.org' }

const balanced = async (books: Books): Promise<Omit<BooksBalance, 'since' | 'differences'>> => {
  const { since: _, differences, ...balance } = balanceOf(await books.counts({ failures: true }))
  assert.deepEqual(differences, { originals: 0, recipients: 0, merged: 0 })
  return balance
}

const nothing = {
  ...{ accepted: 0, added: 0, merged: 0, delivered: 0, relayed: 0, discarded: 0, cancelled: 0 },
  failed: { total: 0, reported: 0, reportPending: 0, unreported: [] },
  pending: { notYetRouted: 0, queued: 0, held: 0, dead: 0 },
}

export function balanceContract(name: string, begin: Begin): void {
  const one = queueIdOf(1)
  const accepted = acceptedMessage(one, ['team@example.org', 'ann@far.test', 'green@example.org'])
  const members = ['m1', 'm2', 'm3', 'm4', 'm5', 'm6', 'm7', 'm8', 'm9']
  const team = routedOf(
    accepted,
    members.map((member) => finalOf(member, member === 'm1' ? local : remote)),
  )
  const copy = finalOf('copy', { kind: 'merged', into: keyOf('m1') })
  const ann = routedOf(accepted, [finalOf('ann', ended)], { original: 1 })
  const green = routedOf(accepted, [copy], { original: 2 })

  test(`${name}: empty books balance`, async (t) => {
    const { books } = await begin(t)
    assert.deepEqual(await balanced(books), nothing)
  })

  test(`${name}: original recipients nobody has routed are pending, also beside routed ones`, async (t) => {
    const { books, writer } = await begin(t)
    await writer.adopt([accepted, acceptedMessage(queueIdOf(2), ['jones@example.org'])])
    const pending = (notYetRouted: number, queued = 0) => ({ ...nothing.pending, notYetRouted, queued })
    assert.deepEqual(await balanced(books), { ...nothing, accepted: 4, pending: pending(4) })
    await writer.record([green])
    assert.deepEqual((await balanced(books)).pending, pending(3))
    await writer.record([team])
    const { added, merged, pending: now } = await balanced(books)
    assert.deepEqual({ added, merged, now }, { added: 8, merged: 1, now: pending(2, 9) })
  })

  test(`${name}: of a paged expansion what was named counts, and the original until all of it is there`, async (t) => {
    const { books, writer } = await begin(t)
    const big = acceptedMessage(one, ['list@example.org'])
    const page = (number: number) => routedOf(big, [finalOf(`p${number}`, local)], { page: number, pages: 2 })
    await writer.record([page(1)])
    assert.deepEqual(await balanced(books), {
      ...{ ...nothing, accepted: 1, added: 1 },
      pending: { ...nothing.pending, notYetRouted: 1, queued: 1 },
    })
    await writer.record([page(2)])
    assert.deepEqual((await balanced(books)).pending, { ...nothing.pending, queued: 2 })
  })

  test(`${name}: every state is on the right side, once, and stays there when the record is freed`, async (t) => {
    const { books, writer } = await begin(t)
    const kinds = [
      'delivered',
      'relayed',
      'deferred',
      'failed',
      'expired',
      'discarded',
      'held',
      'cancelled',
      'dead',
    ] as const
    await writer.record([team, ann, green, statusOf(one, 'ann', 'discarded')])
    await writer.record(kinds.map((kind, index) => statusOf(one, `m${index + 1}`, kind, { attempt: 1 })))
    assert.deepEqual(await balanced(books), {
      ...{ accepted: 3, added: 8, merged: 1, delivered: 1, relayed: 1, discarded: 2, cancelled: 1 },
      failed: { total: 2, reported: 0, reportPending: 2, unreported: [] },
      pending: { notYetRouted: 0, queued: 1, held: 1, dead: 1 },
    })
    await writer.record(['m3', 'm7', 'm9'].map((member) => statusOf(one, member, 'relayed', { attempt: 2 })))
    await writer.planReports(new Date(time(600)), 10, () => [])
    assert.deepEqual(await writer.bury(10), [one])
    await writer.freed([one], new Date(time(10)))
    const freed = await balanced(books)
    assert.deepEqual([freed.accepted, freed.relayed, freed.pending], [3, 4, nothing.pending])
    await writer.prune(new Date(time(700)), new Date(time(700)), 10)
    assert.deepEqual(await balanced(books), nothing)
  })

  test(`${name}: a failure is reported, or will be, or there is a reason why not`, async (t) => {
    const { books, writer } = await begin(t)
    const failing = (number: number, changes: object = {}) => {
      // Senders write what they like.
      const messageId = '<\0a\\\0\0\\u0000@far.test>'
      const message = { ...acceptedMessage(queueIdOf(number), ['bob@far.test'], changes), messageId }
      const { reversePath } = message.envelope
      const failed = statusOf(message.queueId, 'bob', 'failed', { attempt: 1 })
      return [routedOf(message, [finalOf('bob', remote, reversePath)]), failed]
    }
    const never = [{ forwardPath: 'bob@far.test', notify: ['NEVER'] }]
    await writer.record([...failing(1), ...failing(2, { reversePath: '' }), ...failing(3, { recipients: never })])
    const unreported = [
      { reason: 'NOTIFY=NEVER', recipients: 1 },
      { reason: 'the reverse-path is null', recipients: 1 },
    ]
    const failed = async () => {
      const { failed: told } = await balanced(books)
      return { ...told, unreported: told.unreported.toSorted((a, b) => (a.reason < b.reason ? -1 : 1)) }
    }
    assert.deepEqual(await failed(), { total: 3, reported: 0, reportPending: 1, unreported })
    const at = new Date(time(600))
    await writer.planReports(at, 10, (due) => planReports(due, at, NAMES))
    assert.deepEqual(await failed(), { total: 3, reported: 0, reportPending: 1, unreported })
    const [plan] = await writer.plannedReports(at, 10)
    assert.ok(plan)
    await writer.reported(plan, acceptedMessage(plan.queueId, ['smith@example.org'], { reversePath: '' }), at)
    assert.deepEqual(await failed(), { total: 3, reported: 1, reportPending: 0, unreported })
    // The report is mail of its own.
    const { accepted: all, pending } = await balanced(books)
    assert.deepEqual([all, pending.notYetRouted], [4, 1])
  })

  test(`${name}: books balance after every status, whatever their order and however often each comes`, async (t) => {
    const again = routedOf(accepted, [{ ...copy, destination: local }, finalOf('new', remote)], {
      ...{ original: 2, incarnation: 1 },
    })
    const statuses: Status[] = [
      ...[team, ann, green, again],
      statusOf(one, 'm1', 'delivered'),
      statusOf(one, 'm2', 'deferred', { attempt: 1 }),
      statusOf(one, 'm2', 'failed', { attempt: 2 }),
      statusOf(one, 'copy', 'delivered', { incarnation: 1 }),
    ]
    const orders = fc.shuffledSubarray([...statuses, ...statuses], { minLength: statuses.length })
    await fc.assert(
      fc.asyncProperty(orders, async (order) => {
        const { books, writer } = await begin(t)
        for (const status of order) {
          await writer.record([status])
          assert.ok(isBalanced(balanceOf(await books.counts({ failures: true }))))
        }
      }),
      { numRuns: 8 },
    )
  })
}
