import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { MailOut } from '@postbus/contracts'

import { taskTo, time } from '../../test/samples.ts'
import type { Route, Way } from '../routing/route.ts'
import { attempt } from './attempt.ts'
import type { RecipientOutcome } from './deliver.ts'
import type { LedgerEntry } from './ledger.ts'
import { expiryOf } from '../routing/route-of.ts'
import type { SiteNews } from '../lanes/site-news.ts'

const MINUTE = 60_000
const schedule = { firstMs: 5 * MINUTE, longestMs: 240 * MINUTE, jitter: 0, soonMs: 3 * MINUTE, soonAttempts: 4 }
const mx: Way = { kind: 'mx', domain: 'far.test', port: null, named: false }
const routeBy = (way: Way, policy: Route['policy'] = {}): Route => ({
  ...{ key: 'far.test', shared: false, rule: 'one', way, tls: 'opportunistic', auth: null, policy },
})
const later = { kind: 'deferred', status: '4.2.0', reason: 'later' } as const
const trouble: SiteNews = { kind: 'trouble', status: '4.4.1', reason: 'no connection' }

/** One attempt at `minutes` that comes to this, unless the route decides itself. */
async function tried(task: MailOut, minutes: number, result: RecipientOutcome = later, route = routeBy(mx)) {
  const committed: LedgerEntry[] = []
  const { news, settle } = await attempt(
    [task],
    route,
    {
      ledger: { commit: async (entry) => void committed.push(entry) },
      deliver: async (tasks) => ({ outcomes: new Map(tasks.map((each) => [each, result])), news: trouble }),
      expiryOf: (of) => expiryOf(of, route.policy),
      now: () => new Date(time(minutes)),
      random: () => 0,
    },
    schedule,
  )
  const [outcome] = await settle()
  assert.ok(outcome)
  const { queueId, n, attempt: number, incarnation } = task
  assert.deepEqual(committed, [{ queueId, n, attempt: number, incarnation, outcome }])
  return { outcome, news }
}

test('an outcome says when the next attempt is, by the schedule or by the peer', async () => {
  const cases: [RecipientOutcome, number][] = [
    [later, 15],
    [{ ...later, retry: 'soon' }, 13],
    [{ ...later, retry: 7 * MINUTE }, 17],
  ]
  for (const [result, minute] of cases) {
    const { outcome } = await tried(taskTo('x@far.test'), 10, result)
    assert.equal(outcome.kind === 'deferred' && outcome.nextAttemptAt, time(minute))
    assert.ok(!('retry' in outcome))
  }
})

test('what expires keeps what a peer said last, also when nobody could be spoken to since', async () => {
  const task = taskTo('x@far.test', { attempt: 9, expiresAt: time(10), lastReply: '450 4.2.2 mailbox full' })
  const { outcome, news } = await tried(task, 10)
  assert.deepEqual(outcome, {
    ...{ kind: 'expired', at: time(10), tookMs: 0, status: '4.4.7', reason: 'later' },
    reply: '450 4.2.2 mailbox full',
  })
  assert.equal(news.kind, 'trouble')
  const fresh = await tried(task, 10, { ...later, reply: '421 4.3.2 closing' })
  assert.equal(fresh.outcome.kind === 'expired' && fresh.outcome.reply, '421 4.3.2 closing')
})

test('what a rule decides itself ends without a host, in the ledger and with the name of the rule', async () => {
  const by = async (way: Way) => (await tried(taskTo('x@far.test'), 1, later, routeBy(way))).outcome
  assert.deepEqual(await by({ kind: 'discard' }), { kind: 'discarded', at: time(1), rule: 'transport one' })
  assert.deepEqual(await by({ kind: 'hold', reason: 'look at it' }), {
    ...{ kind: 'held', at: time(1), rule: 'transport one: look at it' },
  })
  assert.deepEqual(await by({ kind: 'fail', status: '5.7.1', reason: 'not there' }), {
    ...{ kind: 'failed', at: time(1), status: '5.7.1', reason: 'not there', rule: 'transport one' },
  })
})

test('a recipient expires when its rule says, with a last attempt then', async () => {
  const task = taskTo('x@far.test')
  const short = routeBy(mx, { lifetimeS: 90 })
  const first = await tried(task, 1, later, short)
  const last = new Date(Date.parse(task.acceptedAt) + 90_000).toISOString()
  assert.equal(first.outcome.kind === 'deferred' && first.outcome.nextAttemptAt, last)
  assert.equal((await tried(task, 2, later, short)).outcome.kind, 'expired')
  assert.equal((await tried(task, 2)).outcome.kind, 'deferred')
})
