/** What the list of open outgoing recipients, the histories and the look-ups must do in any storage. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { QueueId, Status } from '@postbus/contracts'
import fc from 'fast-check'

import type { Books, QueuePlace, QueueRange, Wanted } from '../src/tracking/books.ts'
import type { Begin } from './books.contract.ts'
import {
  acceptedMessage,
  finalOf,
  keyOf,
  local,
  queueIdOf,
  remote,
  remoteAt,
  routedOf,
  statusOf,
  time,
} from './samples.ts'

const one = queueIdOf(1)
const minute = (minutes: number): number => Date.parse(time(minutes))

/** One message to `name` at `site`, accepted in that minute. */
function outgoing(number: number, name: string, site: string, minutes: number): Status {
  const accepted = { ...acceptedMessage(queueIdOf(number), [`${name}@${site}`]), acceptedAt: time(minutes) }
  return routedOf(accepted, [finalOf(name, remoteAt(site))])
}

async function listed(books: Books, range: QueueRange = {}, size = 2): Promise<QueueId[]> {
  const ids: QueueId[] = []
  for (let after: QueuePlace | null = null; ;) {
    const page: QueuePlace[] = await books.queueEntries(range, after, size)
    ids.push(...page.map(({ queueId }) => queueId))
    after = page.at(-1) ?? null
    if (after === null || page.length < size) return ids
  }
}

export function queueContract(name: string, begin: Begin): void {
  test(`${name}: open outgoing recipients are listed oldest first, page by page; local and ended ones are not`, async (t) => {
    const { books, writer } = await begin(t)
    const accepted = acceptedMessage(queueIdOf(9), ['jones@example.org'])
    await writer.record([
      outgoing(3, 'ann', 'far.test', 1),
      outgoing(1, 'bob', 'near.test', 5),
      outgoing(2, 'cid', 'far.test', 5),
      outgoing(4, 'dan', 'far.test', 7),
      outgoing(5, 'eve', 'far.test', 2),
      routedOf(accepted, [finalOf('jones', local)]),
    ])
    await writer.record([statusOf(queueIdOf(5), 'eve', 'relayed', { attempt: 1 })])
    await writer.record([statusOf(queueIdOf(4), 'dan', 'held', { attempt: 1 })])
    assert.deepEqual(await listed(books), [3, 1, 2, 4].map(queueIdOf))
    assert.deepEqual(await listed(books, { site: 'far.test' }), [3, 2, 4].map(queueIdOf))
    assert.deepEqual(await listed(books, { site: 'far.test', setAside: true }), [queueIdOf(4)])
    assert.deepEqual(await listed(books, { after: minute(1), before: minute(7) }), [1, 2].map(queueIdOf))
    assert.deepEqual(await listed(books, { queueId: queueIdOf(2) }), [queueIdOf(2)])
    assert.deepEqual(await listed(books, { queueId: queueIdOf(2), n: keyOf('bob') }), [])
    const [first] = await books.queueEntries({}, null, 1)
    assert.equal(first?.entry.acceptedAt, time(1))
    assert.equal(first?.tracked.listing?.final.forwardPath, 'ann@example.org')
  })

  test(`${name}: marks go site by site with state and next attempt, and follow every status`, async (t) => {
    const { books, writer } = await begin(t)
    await writer.record([
      outgoing(1, 'ann', 'b.test', 1),
      outgoing(2, 'bob', 'a.test', 2),
      outgoing(3, 'cid', 'b.test', 3),
    ])
    await writer.record([
      statusOf(queueIdOf(1), 'ann', 'deferred', { attempt: 1, nextAttemptAt: time(50) }),
      statusOf(queueIdOf(3), 'cid', 'dead', { attempt: 1 }),
    ])
    const marks = async (after: QueuePlace | null) =>
      (await books.queueMarks({}, after, 2)).map(({ site, state, nextAttemptAt }) => [site, state, nextAttemptAt])
    assert.deepEqual(await marks(null), [
      ['a.test', 'routed', null],
      ['b.test', 'deferred', minute(50)],
    ])
    const place = { site: 'b.test', acceptedAt: minute(1), queueId: one, n: keyOf('ann') }
    assert.deepEqual(await marks(place), [['b.test', 'dead', null]])
    await writer.record([statusOf(one, 'ann', 'released', { attempt: 2 })])
    assert.deepEqual((await marks(null))[1], ['b.test', 'routed', null])
  })

  test(`${name}: a recipient whose message is known only later is listed, and found, then`, async (t) => {
    const { books, writer } = await begin(t)
    const accepted = acceptedMessage(one, ['jones@example.org', 'ann@far.test'])
    await writer.record([routedOf(accepted, [finalOf('ann', remote)], { original: 1 })])
    assert.deepEqual(await listed(books), [])
    assert.deepEqual(await books.findMessages({ recipient: 'ann@far.test' }, 10), [])
    await writer.adopt([accepted])
    assert.deepEqual(await listed(books), [one])
    assert.equal((await books.findMessages({ recipient: 'ann@far.test' }, 10))[0]?.entry.queueId, one)
  })

  test(`${name}: messages are found by Message-ID, sender and recipient, newest first, whatever the case of an address`, async (t) => {
    const { books, writer } = await begin(t)
    const message = (number: number, minutes: number, messageId: string, to: string): Status[] => {
      const accepted = { ...acceptedMessage(queueIdOf(number), [to, 'jones@example.org']), acceptedAt: time(minutes) }
      return [
        routedOf({ ...accepted, messageId }, [finalOf('ann', remote)], { original: 0 }),
        routedOf({ ...accepted, messageId }, [finalOf('jones', local)], { original: 1 }),
        statusOf(queueIdOf(number), 'jones', 'delivered'),
      ]
    }
    await writer.record([
      ...message(1, 0, '<a@example.org>', 'Ann@far.test'),
      ...message(2, 300, '<b@example.org>', 'ann@FAR.test'),
      ...message(3, 100, '<a@example.org>', 'bob@far.test'),
    ])
    const found = async (wanted: Wanted, limit = 10) =>
      (await books.findMessages(wanted, limit)).map(({ entry }) => entry.queueId)
    assert.deepEqual(await found({ messageId: '<a@example.org>' }), [3, 1].map(queueIdOf))
    assert.deepEqual(await found({ messageId: '<A@example.org>' }), [])
    assert.deepEqual(await found({ recipient: 'ANN@far.TEST' }), [2, 1].map(queueIdOf))
    assert.deepEqual(await found({ sender: 'Smith@example.org' }), [2, 3, 1].map(queueIdOf))
    assert.deepEqual(await found({ sender: 'smith@example.org' }, 2), [2, 3].map(queueIdOf))
    assert.deepEqual(await found({ sender: 'smith@example.org', recipient: 'bob@far.test' }), [queueIdOf(3)])
    assert.deepEqual(await found({ messageId: '<a@example.org>', recipient: 'ann@far.test' }), [one])
    assert.deepEqual(await found({ sender: 'smith@example.org', after: minute(100), before: minute(300) }), [
      queueIdOf(3),
    ])
    const [first] = await books.findMessages({ messageId: '<b@example.org>' }, 1)
    assert.deepEqual([first?.recipients, first?.open], [2, 1])
  })

  test(`${name}: what an ordinary message went through needs no row; every superseded status has one, once`, async (t) => {
    const { books, writer } = await begin(t)
    await writer.record([outgoing(1, 'ann', 'far.test', 1), outgoing(2, 'bob', 'far.test', 1)])
    const deferred = (attempt: number) => statusOf(one, 'ann', 'deferred', { attempt, at: time(attempt) })
    const relayed = statusOf(one, 'ann', 'relayed', { attempt: 3, at: time(9) })
    const ordinary = statusOf(queueIdOf(2), 'bob', 'relayed', { attempt: 1 })
    for (const status of [deferred(1), relayed, deferred(2), deferred(1), deferred(2), relayed]) {
      await writer.record([status, ordinary])
    }
    const history = await books.findHistory(one, keyOf('ann'))
    assert.deepEqual(history?.superseded, [deferred(1), deferred(2)])
    assert.deepEqual(history.tracked.status, relayed)
    assert.deepEqual((await books.findHistory(queueIdOf(2), keyOf('bob')))?.superseded, [])
    assert.equal(await books.findHistory(one, keyOf('nobody')), null)
  })

  test(`${name}: of a long history the first and the last are kept, whatever the order they came in`, async (t) => {
    const { books, writer } = await begin(t)
    let number = 100
    const attempts = Array.from({ length: 10 }, (_, index) => index + 1)
    await fc.assert(
      fc.asyncProperty(fc.shuffledSubarray(attempts, { minLength: 10 }), async (order) => {
        const queueId = queueIdOf(number++)
        await writer.record([outgoing(number - 1, 'ann', 'far.test', 1)])
        const all = order.map((attempt) => statusOf(queueId, 'ann', 'deferred', { attempt, at: time(attempt) }))
        for (const status of [...all, ...all]) await writer.record([status])
        const kept = (await books.findHistory(queueId, keyOf('ann')))?.superseded.map(({ attempt }) => attempt)
        assert.deepEqual(kept, [1, 2, 8, 9])
      }),
      { numRuns: 20 },
    )
  })

  test(`${name}: the first attempt is one that was made: no hold, no release, nothing an operator decided`, async (t) => {
    const { books, writer } = await begin(t)
    await writer.record([outgoing(1, 'ann', 'far.test', 1)])
    const first = async () => (await books.findRecipient(one, keyOf('ann')))?.tracked.firstAttemptAt
    await writer.record([statusOf(one, 'ann', 'held', { attempt: 1, at: time(2) })])
    await writer.record([statusOf(one, 'ann', 'released', { attempt: 1, at: time(3) })])
    assert.equal(await first(), null)
    await writer.record([statusOf(one, 'ann', 'failed', { attempt: 2, at: time(4), rule: 'operator' })])
    assert.equal(await first(), null)
    await writer.record([statusOf(one, 'ann', 'deferred', { attempt: 2, at: time(5) })])
    assert.equal(await first(), time(5))
  })

  test(`${name}: a report that came in keeps its record until it was read; what it says is kept once, and bounded`, async (t) => {
    const { books, writer } = await begin(t)
    await writer.record([outgoing(1, 'ann', 'far.test', 1)])
    const notice = queueIdOf(50)
    const accepted = { ...acceptedMessage(notice, ['smith@example.org'], { reversePath: '' }), report: true }
    await writer.record([
      routedOf(accepted, [finalOf('smith', local, '')]),
      statusOf(notice, 'smith', 'delivered'),
      statusOf(one, 'ann', 'relayed', { attempt: 1 }),
    ])
    assert.deepEqual(await books.unreadReports(null, 10), [notice])
    assert.deepEqual(await books.unreadReports(notice, 10), [])
    assert.deepEqual(await writer.bury(10), [one])
    const note = (report: QueueId, minutes: number) => ({
      ...{ queueId: one, n: keyOf('ann') },
      later: { report, at: time(minutes), action: 'failed' as const, status: '5.1.1' as const },
    })
    const lost = { ...note(notice, 8), queueId: queueIdOf(77) }
    for (let times = 0; times < 2; times++) await writer.readReport(notice, [note(notice, 8), lost], 2)
    assert.deepEqual(await books.unreadReports(null, 10), [])
    assert.deepEqual(new Set(await writer.bury(10)), new Set([one, notice]))
    await writer.readReport(queueIdOf(51), [note(queueIdOf(51), 7)], 2)
    await writer.readReport(queueIdOf(52), [note(queueIdOf(52), 9)], 2)
    const page = await books.find(one)
    assert.deepEqual(
      page?.laterReports.get(keyOf('ann'))?.map(({ report }) => report),
      [queueIdOf(51), notice],
    )
    assert.equal(page?.recipients[0]?.status?.kind, 'relayed')
    assert.equal((await books.findHistory(one, keyOf('ann')))?.laterReports.length, 2)
    await writer.freed([one], new Date(time(10)))
    assert.equal(await writer.prune(new Date(time(11)), new Date(time(0)), 10), 1)
    assert.equal(await books.findHistory(one, keyOf('ann')), null)
  })
}
