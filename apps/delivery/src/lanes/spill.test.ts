/** What a site has no room for is put back: how much of it, and when it comes again. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { FakeClock } from '../../test/fake-clock.ts'
import { kinds, refused, times, world } from '../../test/fake-sites.ts'
import type { Submission } from './scheduler.ts'

test('a fast site may fill the whole window and puts nothing back', async () => {
  const { send, clock, count } = world({ 'fast.test': { ms: 5 } })
  let sent: ReturnType<typeof send>[] = []
  // A lane's window: whenever one is done the next is taken, 1,000 at a time, for a minute.
  for (let step = 0; step < 600; step++) {
    sent = sent.filter(({ result }) => result === undefined)
    while (sent.length < 1000) sent.push(send('fast.test'))
    await clock.pass(100)
  }
  assert.equal(count.spilled, 0)
})

test('a slow site holds a few of its tasks; the rest is put back, spread over the time it needs once that is known', async () => {
  const { send, submit, task, clock, count } = world({ 'slow.test': { ms: 150_000 } })
  const sent = await passThrough(clock, () => send('slow.test'), 10_000)
  // One second until it is known to be slow, for each time its queue ran empty; not more.
  assert.ok(clock.now() < 5000, String(clock.now()))
  await clock.pass(28_000)
  const { waiting = 0, spill = 0 } = kinds(sent)
  // As many as it would be through with in the time a task may wait, if it bore all the transactions it is allowed.
  assert.ok(waiting <= 20, String(waiting))
  assert.equal(spill, 10_000 - waiting)
  assert.equal(count.spilled, spill)
  const delays = delaysOf(clock, sent, 0)
  assert.ok(Math.min(...delays) >= 30_000 && Math.max(...delays) < 60_000, 'it might have turned out to be fast')

  const back = clock.now()
  const again = await passThrough(clock, () => submit({ ...task('slow.test'), spills: 1 }), 10_000)
  const longer = delaysOf(clock, again, back)
  assert.ok(Math.min(...longer) >= 60_000 && Math.max(...longer) <= 610_000)
  assert.ok(longer.filter((ms) => ms < 120_000).length < 2000, 'they would all come back at once')
})

test('a site that is slow only to begin with has its backlog soon', async () => {
  const fake = { ms: 1500 }
  const spill = { afterMs: 10_000, minMs: 5000, maxMs: 600_000 }
  const { send, clock } = world({ 'x.test': fake }, { spill })
  clock.after(1000, () => (fake.ms = 5))
  const sent = await passThrough(clock, () => send('x.test'), 10_000)
  const delays = delaysOf(clock, sent, 0)
  assert.ok(delays.length > 1000, String(delays.length))
  assert.ok(Math.max(...delays) < 60_000, String(Math.max(...delays)))
})

test('what waits long stays in hand while its lane has room for others', async () => {
  const { send, clock, count, cluster } = world({ 'slow.test': { ms: 150_000 } })
  cluster.crowded = false
  times(500, () => send('slow.test'))
  await clock.pass(15_000)
  assert.equal(count.spilled, 0)
  cluster.crowded = true
  await clock.pass(5000)
  assert.ok(count.spilled > 400)
})

test('a site that stops puts back what it had taken when it was fast', async () => {
  const fake = { ms: 5 }
  const { send, clock, count, queue } = world({ 'x.test': fake })
  const sent = times(1000, () => send('x.test'))
  await clock.pass(500)
  fake.ms = 600_000
  sent.push(...times(600, () => send('x.test')))
  await clock.pass(15_000)
  assert.ok(queue.state.waiting <= 10, String(queue.state.waiting))
  assert.ok(count.spilled > 1000)
})

/** Milliseconds until each that was put back comes again. */
const delaysOf = (clock: FakeClock, sent: { result?: Submission<string> | Error }[], since: number): number[] =>
  sent.flatMap(({ result }) =>
    result && 'until' in result ? [result.until.getTime() - clock.dateIn(since - clock.now()).getTime()] : [],
  )

test('what a site puts back while it is slow for a moment comes again at the pace it showed before', async () => {
  const fake = { ms: 5 }
  const { send, clock } = world({ 'x.test': fake })
  await passThrough(clock, () => send('x.test'), 10_000)
  fake.ms = 800
  const slowed = clock.now()
  const sent = await passThrough(clock, () => send('x.test'), 5000)
  const delays = delaysOf(clock, sent, slowed)
  assert.ok(delays.length > 2000, String(delays.length))
  assert.ok(Math.max(...delays) < 60_000, String(Math.max(...delays)))
})

test('what is put back again and again waits twice as long each time', async () => {
  const { submit, task, clock } = world({ 'slow.test': { ms: 3_600_000 } })
  times(100, () => submit(task('slow.test')))
  await clock.pass(1500)
  const now = clock.now()
  const sent = times(6, (spills) => submit({ ...task('slow.test'), spills }))
  await clock.pass(1)
  const delays = delaysOf(clock, sent, now)
  for (const [spills, ms] of delays.entries())
    assert.ok(ms >= Math.min(600_000, 30_000 * 2 ** spills), `${spills}: ${ms}`)
  assert.equal(delays.length, 6)
})

test('a submitter with little waiting is taken where one with much is put back', async () => {
  const { send, clock } = world({ 'x.test': { ms: 1000, concurrency: 2 } })
  times(500, () => send('x.test', 'bulk'))
  await clock.pass(1500)
  const bulk = times(50, () => send('x.test', 'bulk'))
  const ann = send('x.test', 'ann')
  await clock.pass(5000)
  assert.ok((kinds(bulk).spill ?? 0) > 20)
  assert.deepEqual(kinds([ann]), { sent: 1 })
})

test('beside a slow and a dead site in one window the fast one keeps its rate', async () => {
  const fast = { ms: 10, concurrency: 4 }
  const through = async (others: string[]): Promise<number> => {
    const { send, clock } = world({
      'fast.test': fast,
      'slow.test': { ms: 150_000 },
      'dead.test': { ms: 1, news: () => refused },
    })
    const sites = ['fast.test', ...others]
    let next = 0
    let mine = 0
    let hand: ReturnType<typeof send>[] = []
    let done = 0
    // One window of 1,000; the sites' tasks come mixed.
    while (done < 10_000 && clock.now() < 120_000) {
      done += hand.filter(({ task, result }) => task.site === 'fast.test' && result !== undefined).length
      hand = hand.filter(({ result }) => result === undefined)
      while (hand.length < 1000 && mine < 10_000) {
        const site = sites[next++ % sites.length] ?? ''
        if (site === 'fast.test') mine++
        hand.push(send(site))
      }
      await clock.pass(50)
    }
    assert.equal(done >= 10_000, true)
    return (done / clock.now()) * 1000
  }
  const alone = await through([])
  const beside = await through(['slow.test', 'dead.test'])
  assert.ok(beside >= 0.8 * alone, `${beside} of ${alone} a second`)
})

/** All of them through a window of 1,000, as fast as it goes. */
async function passThrough<T extends { result?: unknown }>(
  clock: FakeClock,
  send: () => T,
  total: number,
): Promise<T[]> {
  const all: T[] = []
  let hand: T[] = []
  while (all.length < total && clock.now() < 60_000) {
    hand = hand.filter(({ result }) => result === undefined)
    while (hand.length < 1000 && all.length < total) {
      const one = send()
      hand.push(one)
      all.push(one)
    }
    await clock.pass(10)
  }
  await clock.pass(1500)
  return all
}
