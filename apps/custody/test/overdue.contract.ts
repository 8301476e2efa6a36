/** What any storage of the books must be able to say of what has not moved in time. Part of books.contract.ts. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { Status } from '@postbus/contracts'

import type { Begin } from './books.contract.ts'
import { acceptedMessage, finalOf, keyOf, local, queueIdOf, remote, routedOf, statusOf, time } from './samples.ts'

const minute = (minutes: number): Date => new Date(time(minutes))
const one = queueIdOf(1)
const accepted = acceptedMessage(one, ['jones@example.org', 'ann@far.test'])
const routed = [
  routedOf(accepted, [finalOf('jones', local)], { original: 0 }),
  routedOf(accepted, [finalOf('ann', remote)], { original: 1 }),
]

export function overdueContract(name: string, begin: Begin): void {
  test(`${name}: a record nobody has told about is overdue at once; routing it ends that`, async (t) => {
    const { books, writer } = await begin(t)
    await writer.adopt([accepted])
    assert.deepEqual(await writer.overdueMessages(minute(5), 10), [
      { queueId: one, incarnation: 0, origin: 'submission', seenAt: minute(5) },
    ])
    assert.equal(await books.findUnrouted(one), 0)
    assert.deepEqual(
      (await books.find(one))?.originals.map(({ recipient, routed }) => [recipient?.forwardPath, routed]),
      [
        ['jones@example.org', false],
        ['ann@far.test', false],
      ],
    )
    await writer.postponeMessages([one], minute(8))
    assert.deepEqual(await writer.overdueMessages(minute(7), 10), [])
    await writer.record([routed[0] as Status])
    assert.equal((await writer.overdueMessages(minute(8), 10)).length, 1)
    await writer.record([routed[1] as Status])
    assert.deepEqual(await writer.overdueMessages(minute(8), 10), [])
  })

  test(`${name}: a message known in part becomes overdue in time, with what the spool adds`, async (t) => {
    const { books, writer } = await begin(t)
    await writer.record([routed[1] as Status, statusOf(one, 'ann', 'relayed', { attempt: 1 })])
    assert.equal(await books.find(one), null)
    assert.deepEqual(await writer.overdueMessages(minute(14), 10), [])
    assert.equal((await writer.overdueMessages(minute(15), 10)).length, 1)
    await writer.adopt([accepted])
    assert.equal((await books.find(one))?.recipients.length, 1)
    assert.equal((await books.find(one))?.originals.length, 2)
  })

  test(`${name}: an open recipient is overdue some time after it should have moved`, async (t) => {
    const { writer } = await begin(t)
    await writer.record(routed)
    const names = async (minutes: number) =>
      (await writer.overdueRecipients(minute(minutes), 10)).map(({ tracked }) => tracked.n)
    assert.deepEqual(await names(10), [])
    assert.deepEqual(new Set(await names(11)), new Set([keyOf('jones'), keyOf('ann')]))
    await writer.record([
      statusOf(one, 'jones', 'delivered'),
      statusOf(one, 'ann', 'deferred', { attempt: 1, nextAttemptAt: time(30) }),
    ])
    assert.deepEqual(await names(39), [])
    const [ann] = await writer.overdueRecipients(minute(40), 10)
    assert.equal(ann?.original.forwardPath, 'ann@far.test')
    assert.equal(ann?.entry.queueId, one)
    assert.equal(ann?.tracked.firstAttemptAt, time(2))
    await writer.postponeRecipients([{ queueId: one, n: keyOf('ann') }], minute(50))
    assert.deepEqual(await names(49), [])
    await writer.record([statusOf(one, 'ann', 'held', { attempt: 2, at: time(40) })])
    assert.deepEqual(await names(49), [])
    assert.deepEqual(await names(50), [keyOf('ann')])
    await writer.record([statusOf(one, 'ann', 'released', { attempt: 2, at: time(51) })])
    assert.deepEqual([await names(60), await names(61)], [[], [keyOf('ann')]])
    await writer.record([statusOf(one, 'ann', 'released', { attempt: 3, at: time(52), missing: true })])
    assert.deepEqual(await names(52), [keyOf('ann')])
    await writer.record([statusOf(one, 'ann', 'dead', { attempt: 3 })])
    assert.deepEqual(await names(100_000), [])
  })

  test(`${name}: an incarnation is raised by one only, whoever asks`, async (t) => {
    const { writer } = await begin(t)
    await writer.record(routed)
    assert.deepEqual(await Promise.all([writer.raiseIncarnation(one, 0), writer.raiseIncarnation(one, 0)]), [1, null])
    await writer.record([statusOf(one, 'ann', 'deferred', { attempt: 1, incarnation: 4 })])
    assert.equal(await writer.raiseIncarnation(one, 1), null)
    assert.equal(await writer.raiseIncarnation(one, 4), 5)
  })
}
