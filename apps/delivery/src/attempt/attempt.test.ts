import assert from 'node:assert/strict'
import { test } from 'node:test'

import { taskTo, time } from '../../test/samples.ts'
import type { Route, Way } from '../routing/route.ts'
import { attempt } from './attempt.ts'
import type { RecipientOutcome } from './deliver.ts'
import type { LedgerEntry } from './ledger.ts'
import type { Outcome } from './outcome.ts'

const schedule = { firstMs: 60_000, longestMs: 600_000, jitter: 0 }
const mx: Way = { kind: 'mx', domain: 'far.test', port: null, named: false }
const routeBy = (way: Way, policy: Route['policy'] = {}): Route => ({
  ...{ key: 'far.test', shared: false, rule: 'one', way, tls: 'opportunistic', auth: null, policy },
})
const task = taskTo('ann@far.test')
const later: RecipientOutcome = { kind: 'deferred', status: '4.2.0', reason: 'later' }

async function run(route: Route, minute = 1): Promise<Outcome | undefined> {
  const committed: LedgerEntry[] = []
  const [outcome] = await attempt(
    [task],
    route,
    {
      ledger: { commit: async (entry) => void committed.push(entry) },
      deliver: async (tasks) => new Map(tasks.map((each) => [each, later])),
      now: () => new Date(time(minute)),
      random: () => 0.5,
    },
    schedule,
  )
  assert.deepEqual(committed, [{ queueId: task.queueId, n: task.n, attempt: 1, incarnation: 0, outcome }])
  return outcome
}

test('what a rule decides itself ends without a host, in the ledger and with the name of the rule', async () => {
  assert.deepEqual(await run(routeBy({ kind: 'discard' })), { kind: 'discarded', at: time(1), rule: 'transport one' })
  assert.deepEqual(await run(routeBy({ kind: 'hold', reason: 'look at it' })), {
    ...{ kind: 'held', at: time(1), rule: 'transport one: look at it' },
  })
  assert.deepEqual(await run(routeBy({ kind: 'fail', status: '5.7.1', reason: 'not there' })), {
    ...{ kind: 'failed', at: time(1), status: '5.7.1', reason: 'not there', rule: 'transport one' },
  })
})

test('a recipient expires when its rule says, with a last attempt then', async () => {
  assert.deepEqual(await run(routeBy(mx)), { ...later, at: time(1), nextAttemptAt: time(2) })
  assert.deepEqual(await run(routeBy(mx, { lifetimeS: 90 })), {
    ...{ ...later, at: time(1) },
    nextAttemptAt: new Date(Date.parse(time(1)) + 30_000).toISOString(),
  })
  assert.deepEqual(await run(routeBy(mx, { lifetimeS: 90 }), 2), {
    ...{ ...later, kind: 'expired', status: '4.4.7', at: time(2) },
  })
})
