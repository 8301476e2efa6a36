import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'

import type { QueueFilter, Status } from '@postbus/contracts'
import { temporaryDatabase } from '@postbus/sql'

import { acceptedMessage, finalOf, keyOf, queueIdOf, remoteAt, routedOf, statusOf, time } from '../../test/samples.ts'
import { migrations } from '../adapters/storage/migrations.ts'
import { sqlBooks } from '../adapters/storage/sql-books.ts'
import type { Tables } from '../adapters/storage/tables.ts'
import { countSites, walkQueue } from './walk-queue.ts'

const account = 'smith00000000'

interface Sample {
  name: string
  site: string
  reversePath?: string
  changes?: object
}

function message(number: number, { name, site, reversePath = 'smith@example.org', changes }: Sample): Status {
  const accepted = {
    ...acceptedMessage(queueIdOf(number), [`${name}@${site}`], { reversePath }),
    acceptedAt: time(number),
  }
  const final = { ...finalOf(name, remoteAt(site), reversePath), forwardPath: `${name}@${site}` }
  return routedOf({ ...accepted, ...changes }, [final])
}

async function world(t: TestContext) {
  const db = await temporaryDatabase<Tables>(t, migrations)
  const times = { overdueMs: 1000, gatherMs: 0, delayMs: 0, historyKept: 2, now: () => Date.parse(time(0)) }
  const books = sqlBooks(db, times)
  const writer = await books.lead(1)
  await writer.record([
    message(1, { name: 'Ann', site: 'far.test', changes: { account } }),
    message(2, { name: 'bob', site: 'sub.far.test', reversePath: '' }),
    message(3, { name: 'cid', site: 'notfar.test' }),
    message(4, { name: 'dan', site: 'far.test', reversePath: 'boss@EXAMPLE.com' }),
  ])
  await writer.record([
    statusOf(queueIdOf(3), 'cid', 'deferred', {
      attempt: 2,
      reply: '451 4.7.1 Greylisted',
      mxHost: 'mx.notfar.test',
      via: 'mx:far.test',
    }),
    statusOf(queueIdOf(4), 'dan', 'held', { attempt: 1, rule: 'by ann' }),
  ])
  return { books, signal: new AbortController().signal }
}

test('every condition of a filter counts, and all of them together', async (t) => {
  const { books, signal } = await world(t)
  const cases: [QueueFilter, number[]][] = [
    [{}, [1, 2, 3, 4]],
    [{ site: 'FAR.test' }, [1, 4]],
    [{ site: '.far.test' }, [1, 2, 4]],
    [{ sender: 'Smith@example.org' }, [1, 3]],
    [{ sender: '@example.COM' }, [4]],
    [{ sender: '<>' }, [2]],
    [{ recipient: 'ann@FAR.test' }, [1]],
    [{ recipient: '@far.test' }, [1, 4]],
    [{ account }, [1]],
    [{ states: ['held', 'dead'] }, [4]],
    [{ before: time(2) }, [1]],
    [{ after: time(2) }, [3, 4]],
    [{ reason: 'greylist' }, [3]],
    [{ queueId: queueIdOf(2) }, [2]],
    [{ n: keyOf('cid') }, [3]],
    [{ site: '.far.test', states: ['routed'], after: time(1) }, [2]],
    [{ site: 'far.test', reason: 'greylist' }, []],
  ]
  for (const [filter, expected] of cases) {
    const found = await Array.fromAsync(walkQueue(books, filter, signal))
    const numbers = [1, 2, 3, 4].filter((number) => found.some(({ queueId }) => queueId === queueIdOf(number)))
    assert.deepEqual(numbers, expected, JSON.stringify(filter))
    assert.equal(found.length, expected.length)
    const counted = await countSites(books, filter, signal)
    const sum = counted.reduce((total, { routed, deferred, held, dead }) => total + routed + deferred + held + dead, 0)
    assert.equal(sum, expected.length, JSON.stringify(filter))
  }
})

test('a recipient is described by where it stands, and what was said last', async (t) => {
  const { books, signal } = await world(t)
  const [ann, , cid, dan] = await Array.fromAsync(walkQueue(books, {}, signal))
  assert.deepEqual(ann, {
    ...{ queueId: queueIdOf(1), n: keyOf('Ann'), site: 'far.test', shard: 0, reversePath: 'smith@example.org' },
    ...{ forwardPath: 'Ann@far.test', account, messageId: '<a@example.org>', size: 1000 },
    ...{ acceptedAt: time(1), expiresAt: time(60 * 24 * 5), state: 'routed', attempt: 0, at: time(1) },
  })
  assert.deepEqual(
    [cid?.status, cid?.reason, cid?.mxHost, cid?.nextAttemptAt, cid?.attempt, cid?.via],
    ['4.2.0', '451 4.7.1 Greylisted', 'mx.notfar.test', time(30), 2, 'mx:far.test'],
  )
  assert.deepEqual([dan?.state, dan?.reason], ['held', 'by ann'])
})

test('sites are counted with their oldest and their next, one way or the other', async (t) => {
  const { books, signal } = await world(t)
  for (const filter of [{ site: 'notfar.test' }, { reason: 'greylist' }]) {
    assert.deepEqual(await countSites(books, filter, signal), [
      {
        ...{ site: 'notfar.test', routed: 0, deferred: 1, held: 0, dead: 0 },
        ...{ oldestAt: Date.parse(time(3)), nextAttemptAt: Date.parse(time(30)) },
      },
    ])
  }
})

test('whoever went away is not read on for', async (t) => {
  const { books } = await world(t)
  await assert.rejects(Array.fromAsync(walkQueue(books, {}, AbortSignal.abort(new Error('gone')))), /gone/)
})
