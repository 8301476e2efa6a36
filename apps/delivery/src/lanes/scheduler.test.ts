import assert from 'node:assert/strict'
import { test } from 'node:test'

import { busy, kinds, refused, times, well, world } from '../../test/fake-sites.ts'
import type { SiteNews } from './site-news.ts'

test('recipients of one message and site share a transaction, up to the bound', async () => {
  const { submit, clock, transactions } = world()
  const sent = ['a', 'b', 'c'].map((to) => submit({ site: 'x.test', message: 'm', by: 'ann', to }))
  await clock.pass(20)
  assert.deepEqual(
    transactions.map(({ to }) => to),
    [['a', 'b'], ['c']],
  )
  assert.deepEqual(
    sent.map(({ result }) => result),
    ['a', 'b', 'c'].map((to) => ({ kind: 'done', outcome: `sent ${to}` })),
  )
})

test('a site that hangs holds nobody but its own mail', async () => {
  const { send, clock } = world({ 'slow.test': { ms: 3_600_000 } })
  const slow = times(5, () => send('slow.test'))
  const fast = send('fast.test')
  await clock.pass(20)
  assert.deepEqual([kinds(slow), kinds([fast])], [{ waiting: 5 }, { sent: 1 }])
})

test('a site is free for the next when it was spoken to; what is left to do for the last one counts in the process', async () => {
  const slow = { ms: 10, commitMs: 1000, concurrency: 1 }
  const { send, clock, queue, transactions, settled } = world({ 'x.test': slow, 'y.test': slow }, { transactions: 3 })
  const sent = times(3, () => send('x.test'))
  await clock.pass(50)
  assert.equal(transactions.length, 3)
  assert.deepEqual([kinds(sent), queue.state.running], [{ waiting: 3 }, 3])
  assert.deepEqual(settled, [2, 3, 3], 'the next one began first')
  const other = send('y.test')
  await clock.pass(900)
  assert.equal(transactions.length, 3, 'the process has no more hands')
  await clock.pass(2000)
  assert.deepEqual([kinds(sent), kinds([other]), queue.state.running], [{ sent: 3 }, { sent: 1 }, 0])
})

test('a transaction that throws rejects its own tasks only', async () => {
  const { submit, send, clock } = world()
  const bad = submit({ site: 'x.test', message: 'm', by: 'ann', to: 'bad' })
  const good = send('x.test')
  await clock.pass(20)
  assert.deepEqual([kinds([bad]), kinds([good])], [{ failed: 1 }, { sent: 1 }])
})

test('what is taken back before its turn is not attempted, and what has begun goes on', async () => {
  const { send, clock, queue, transactions } = world({ 'x.test': { ms: 1000, concurrency: 1 } })
  const stopping = new AbortController()
  const sent = times(3, () => send('x.test', 'ann', stopping.signal))
  await clock.pass(20)
  const last = send('x.test', 'ann', stopping.signal)
  stopping.abort(new Error('stopping'))
  await clock.pass(5000)
  assert.deepEqual(kinds(sent), { sent: 1, failed: 2 })
  assert.match(String(last.result), /stopping/)
  assert.equal(transactions.length, 1)
  assert.deepEqual(queue.state, { waiting: 0, running: 0, breakersOpen: 0 })
})

test('a site begins with few transactions at once, gets more while it answers, and never more than its limit', async () => {
  const { send, clock, most, running } = world({ 'x.test': { ms: 100 }, 'y.test': { ms: 100, concurrency: 1 } })
  times(40, () => send('x.test'))
  times(10, () => send('y.test'))
  await clock.pass(50)
  assert.equal(running.get('x.test'), 2)
  await clock.pass(2000)
  assert.equal(most.get('x.test'), 4)
  assert.equal(most.get('y.test'), 1)
})

test('what a site gets doubles with every cohort that goes well until it refuses; from then on a cohort adds one', async () => {
  let news: SiteNews = well
  const { send, clock, running } = world({ 'x.test': { ms: 100, news: () => news } }, { concurrency: 64 })
  times(400, () => send('x.test'))
  const cohorts: (number | undefined)[] = []
  const pass = async (count: number): Promise<void> => {
    for (let cohort = 0; cohort < count; cohort++) {
      cohorts.push(running.get('x.test'))
      await clock.pass(100)
    }
  }
  await clock.pass(50)
  await pass(3)
  news = busy
  await clock.pass(100)
  news = well
  await clock.pass(5000 - 30)
  await pass(2)
  assert.deepEqual(cohorts, [2, 4, 8, 8, 9])
})

test('of a shared site each replica keeps its part of the limits, and no less than one at once', async () => {
  const { cluster, send, clock, running, transactions } = world({
    'hub.test': { ms: 60_000, shared: true, concurrency: 4 },
    'own.test': { ms: 60_000, concurrency: 4 },
    'metered.test': { shared: true, perMinute: 60 },
  })
  cluster.replicas = 4
  for (const site of ['hub.test', 'own.test', 'metered.test']) times(4, () => send(site))
  await clock.pass(9000)
  assert.deepEqual([running.get('hub.test'), running.get('own.test')], [1, 2])
  assert.equal(transactions.filter(({ site }) => site === 'metered.test').length, 3)
  cluster.replicas = 2
  send('hub.test')
  await clock.pass(100)
  assert.equal(running.get('hub.test'), 2)
})

test('so many messages a minute, evenly', async () => {
  const { send, clock, transactions } = world({ 'x.test': { perMinute: 60 } })
  times(6, () => send('x.test'))
  await clock.pass(4500)
  assert.deepEqual(
    transactions.map(({ at }) => at),
    [10, 1010, 2010, 3010, 4010],
  )
})

test('a rate above one in a second lets no more through over a long time', async () => {
  const { send, clock, transactions } = world({ 'x.test': { perMinute: 600 } })
  const feed = async (seconds: number): Promise<void> => {
    for (let second = 0; second < seconds; second++) {
      times(20, () => send('x.test'))
      await clock.pass(1000)
    }
  }
  await feed(60)
  assert.ok(transactions.length >= 590 && transactions.length <= 610, String(transactions.length))
})

test('inside a site submitters take turns, however much one of them has waiting', async () => {
  const { send, clock, transactions } = world({ 'x.test': { ms: 1, concurrency: 1 } })
  const many = times(10_000, () => send('x.test', 'bulk'))
  await clock.pass(50)
  const few = times(3, () => send('x.test', 'ann'))
  await clock.pass(30)
  assert.deepEqual(kinds(few), { sent: 3 })
  assert.ok((kinds(many).waiting ?? 0) > 9000)
  const begun = transactions.map(({ to }) => to[0]?.replace(/\d+/, ''))
  const first = begun.indexOf('ann')
  assert.deepEqual(begun.slice(first, first + 5), ['ann', 'bulk', 'ann', 'bulk', 'ann'])
})

test('the transactions of the process go round the sites', async () => {
  const { send, clock, transactions } = world(
    { 'a.test': { ms: 10 }, 'b.test': { ms: 10 }, 'c.test': { ms: 10 } },
    { transactions: 1 },
  )
  for (const site of ['a.test', 'b.test', 'c.test']) times(3, () => send(site))
  await clock.pass(200)
  // The first to come begins before the others are there.
  assert.equal(transactions.map(({ site }) => site[0]).join(''), 'aabcabcbc')
})

test('a site without a session is left alone after troubles in a row; what waits and what comes is suspended', async () => {
  const { send, clock, suspended, transactions, queue, count } = world({ 'dead.test': { news: () => refused } })
  const first = times(10, () => send('dead.test'))
  await clock.pass(100)
  assert.ok(transactions.length <= 4, String(transactions.length))
  const before = transactions.length
  const later = times(10_000, () => send('dead.test'))
  await clock.pass(100)
  assert.equal(transactions.length, before)
  assert.deepEqual(kinds(later), { suspended: 10_000 })
  assert.equal(kinds(first).waiting, undefined)
  assert.deepEqual(suspended[0]?.trouble, refused)
  assert.equal(suspended[0]?.until.getTime(), clock.dateIn(60_010 - clock.now()).getTime())
  assert.equal(count.suspended, suspended.length)
  assert.deepEqual(queue.state, { waiting: 0, running: 0, breakersOpen: 1 })
})

test('after the pause one transaction tries: trouble doubles the pause, an answer lets the others follow', async () => {
  let news: SiteNews = refused
  const { send, clock, transactions, queue, suspended } = world({ 'x.test': { ms: 10, news: () => news } })
  times(5, () => send('x.test'))
  await clock.pass(100)
  await clock.pass(60_000)
  const tried = transactions.length
  const second = times(5, () => send('x.test'))
  await clock.pass(100)
  assert.equal(transactions.length, tried + 1)
  assert.deepEqual(kinds(second), { sent: 1, suspended: 4 })
  const probedAt = transactions.at(-1)?.at ?? 0
  assert.equal(suspended.at(-1)?.until.getTime(), clock.dateIn(probedAt + 10 + 120_000 - clock.now()).getTime())
  await clock.pass(60_000)
  const third = send('x.test')
  await clock.pass(100)
  assert.deepEqual(kinds([third]), { suspended: 1 })
  await clock.pass(60_000)
  news = well
  const fourth = times(5, () => send('x.test'))
  await clock.pass(200)
  assert.deepEqual(kinds(fourth), { sent: 5 })
  assert.equal(queue.state.breakersOpen, 0)
})

test('a site that answers now and then is not left alone', async () => {
  let turn = 0
  const { send, clock, suspended } = world({ 'x.test': { ms: 10, news: () => (++turn % 3 === 0 ? well : refused) } })
  const sent = times(60, () => send('x.test'))
  await clock.pass(5000)
  assert.equal(suspended.length, 0)
  assert.deepEqual(kinds(sent), { sent: 60 })
})

test('what struck one cohort is one event: as many troubles as ran at once open the breaker, not fewer', async () => {
  let news: SiteNews = well
  const { send, clock, queue } = world(
    { 'x.test': { ms: 100, news: () => news } },
    { initialConcurrency: 8, concurrency: 8 },
  )
  times(14, () => send('x.test'))
  await clock.pass(50)
  news = refused
  // Seven of the eight that run end in trouble, then all is well again.
  await clock.pass(60)
  assert.equal(queue.state.breakersOpen, 1)
  const other = world({ 'x.test': { ms: 100, news: () => news } }, { initialConcurrency: 8, concurrency: 8 })
  times(7, () => other.send('x.test'))
  await other.clock.pass(150)
  assert.equal(other.queue.state.breakersOpen, 0)
})

test('a site that says it is busy gets a pause and fewer at once, and is not left alone', async () => {
  let news: SiteNews = busy
  const { send, clock, transactions, suspended, running } = world({ 'x.test': { ms: 100, news: () => news } })
  const sent = times(6, () => send('x.test'))
  await clock.pass(200)
  assert.equal(transactions.length, 2)
  news = well
  await clock.pass(4900)
  assert.equal(transactions.length, 2)
  await clock.pass(50)
  assert.equal(running.get('x.test'), 1)
  await clock.pass(3000)
  assert.deepEqual([kinds(sent), suspended.length], [{ sent: 6 }, 0])
})

test('thousands of tasks a second cost the same each, however many wait', async () => {
  const { submit, task, queue } = world({ 'x.test': { ms: 1e9 } })
  const cost = (count: number): number => {
    const began = performance.now()
    for (let i = 0; i < count; i++) submit(task('x.test', `by${i % 1000}`))
    return performance.now() - began
  }
  cost(5000)
  cost(50_000)
  assert.equal(queue.state.waiting, 55_000)
})
