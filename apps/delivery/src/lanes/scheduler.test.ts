import assert from 'node:assert/strict'
import { test } from 'node:test'

import { type FakeClock, fakeClock } from '../../test/fake-clock.ts'
import { type Scheduler, scheduler, type SchedulerOptions, type Submission } from './scheduler.ts'
import type { SiteNews, Trouble } from './site-news.ts'
import type { SitePolicy } from './site-policy.ts'

interface Task {
  site: string
  message: string
  to: string
  by: string
  spills?: number
}

const well: SiteNews = { kind: 'well' }
const refused: Trouble = { kind: 'trouble', status: '4.4.1', reason: 'no connection' }
const busy: SiteNews = { kind: 'busy', reason: '421 too many connections' }

interface FakeSite extends Partial<SitePolicy> {
  /** How long a transaction takes. */
  ms?: number
  /** How long its outcomes take after that. */
  commitMs?: number
  news?: () => SiteNews
}

/** Simulated sites, by name; who is not named answers at once. */
function world(fakes: Record<string, FakeSite> = {}, changes: Partial<SchedulerOptions> = {}) {
  const clock = fakeClock()
  const running = new Map<string, number>()
  const most = new Map<string, number>()
  const transactions: { at: number; site: string; to: string[] }[] = []
  const suspended: { to: string; until: Date; trouble: Trouble }[] = []
  const count = { spilled: 0, suspended: 0 }
  const cluster = { replicas: 1, crowded: true }
  const queue: Scheduler<Task, string> = scheduler<Task, string>(
    {
      clock,
      random: () => 0.5,
      replicas: () => cluster.replicas,
      policyOf: ({ site }) => ({ ...policyIn(fakes[site]), key: site }),
      groupOf: ({ message }) => message,
      submitterOf: ({ by }) => by,
      spillsOf: ({ spills = 0 }) => spills,
      crowded: () => cluster.crowded,
      spilled: (tasks) => void (count.spilled += tasks),
      suspended: (tasks) => void (count.suspended += tasks),
      async transact(tasks) {
        const site = tasks[0]?.site ?? ''
        const now = (running.get(site) ?? 0) + 1
        running.set(site, now)
        most.set(site, Math.max(now, most.get(site) ?? 0))
        transactions.push({ at: clock.now(), site, to: tasks.map(({ to }) => to) })
        await clock.sleep(fakes[site]?.ms ?? 0)
        running.set(site, (running.get(site) ?? 0) - 1)
        if (tasks.some(({ to }) => to === 'bad')) throw new Error('spool')
        const sent = tasks.map(({ to }) => `sent ${to}`)
        const outcomes = clock.sleep(fakes[site]?.commitMs ?? 0).then(() => sent)
        return { outcomes, news: fakes[site]?.news?.() ?? well }
      },
      async suspend(tasks, trouble, until) {
        for (const { to } of tasks) suspended.push({ to, until, trouble })
        return tasks.map(({ to }) => `suspended ${to}`)
      },
    },
    {
      initialConcurrency: 2,
      concurrency: 4,
      maxRecipients: 2,
      transactions: 100,
      gatherMs: 10,
      busyPauseMs: 5000,
      breaker: { troubles: 3, firstPauseMs: 60_000, longestPauseMs: 240_000 },
      spill: { afterMs: 10_000, minMs: 30_000, maxMs: 600_000 },
      ...changes,
    },
  )
  let serial = 0
  /** Submits a message of one recipient; what became of it is in the result once it is known. */
  const send = (site: string, by = 'ann', signal?: AbortSignal) => submit(task(site, by), signal)
  const task = (site: string, by = 'ann'): Task => ({ site, by, message: `m${++serial}`, to: `${by}${serial}` })
  const submit = (one: Task, signal?: AbortSignal) => {
    const sent: { task: Task; result?: Submission<string> | Error } = { task: one }
    queue.submit(one, signal && [signal]).then(
      (result) => void (sent.result = result),
      (error: Error) => void (sent.result = error),
    )
    return sent
  }
  return { cluster, clock, queue, transactions, suspended, count, most, send, submit, task, running }
}

const policyIn = ({ concurrency, perMinute, maxRecipients, shared }: FakeSite = {}): Omit<SitePolicy, 'key'> => ({
  ...(concurrency !== undefined && { concurrency }),
  ...(shared !== undefined && { shared }),
  ...(perMinute !== undefined && { perMinute }),
  ...(maxRecipients !== undefined && { maxRecipients }),
})
const times = <T>(count: number, make: (index: number) => T): T[] => Array.from({ length: count }, (_, i) => make(i))
const kinds = (sent: { result?: Submission<string> | Error }[]): Record<string, number> => {
  const counts: Record<string, number> = {}
  for (const { result } of sent) {
    const kind =
      result === undefined
        ? 'waiting'
        : result instanceof Error
          ? 'failed'
          : result.kind === 'done'
            ? (result.outcome.split(' ')[0] ?? '')
            : result.kind
    counts[kind] = (counts[kind] ?? 0) + 1
  }
  return counts
}

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
  const { send, clock, queue, transactions } = world({ 'x.test': slow, 'y.test': slow }, { transactions: 3 })
  const sent = times(3, () => send('x.test'))
  await clock.pass(50)
  assert.equal(transactions.length, 3)
  assert.deepEqual([kinds(sent), queue.state.running], [{ waiting: 3 }, 3])
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
