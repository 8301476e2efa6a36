import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { MailOut } from '@postbus/contracts'

import { taskTo, time } from '../../test/samples.ts'
import { attempt } from './attempt.ts'
import { classifier } from './classify.ts'
import type { LedgerEntry } from './ledger.ts'
import { SessionFailed } from './session.ts'

const MINUTE = 60_000
const schedule = { firstMs: 5 * MINUTE, longestMs: 240 * MINUTE, jitter: 0, soonMs: 3 * MINUTE, soonAttempts: 4 }

/** One attempt at `minutes` with a site whose only host fails to greet like this. */
async function tried(task: MailOut, minutes: number, reply?: string) {
  const committed: LedgerEntry[] = []
  const { outcomes, news } = await attempt(
    [task],
    {
      ledger: { commit: async (entry) => void committed.push(entry) },
      destination: async () => ({ kind: 'hosts', hosts: [{ name: 'mx.far.test', address: '192.0.2.1', port: 25 }] }),
      open: () => Promise.reject(new SessionFailed('no connection', { reply })),
      body: () => (async function* () {})(),
      content: async () => ({ header8bit: false, body8bit: false }),
      signature: async () => '',
      classify: classifier(),
      isOurselves: () => false,
      now: () => new Date(time(minutes)),
      random: () => 0,
    },
    schedule,
  )
  assert.deepEqual(
    committed.map(({ outcome }) => outcome),
    outcomes,
  )
  const [outcome] = outcomes
  assert.ok(outcome)
  return { outcome, news }
}

test('an outcome says when the next attempt is, by the schedule or by the peer', async () => {
  const cases: [string | undefined, number][] = [
    [undefined, 15],
    ['451 4.3.0 broken', 15],
    ['450 4.7.1 greylisted', 13],
    ['421 4.7.1 greylisted, come back in 7 minutes', 17],
  ]
  for (const [reply, minute] of cases) {
    const { outcome } = await tried(taskTo('x@far.test'), 10, reply)
    assert.equal(outcome.kind === 'deferred' && outcome.nextAttemptAt, time(minute), reply ?? 'no reply')
    assert.ok(!('retry' in outcome))
  }
})

test('what expires keeps what a peer said last, also when nobody could be spoken to since', async () => {
  const task = taskTo('x@far.test', { attempt: 9, expiresAt: time(10), lastReply: '450 4.2.2 mailbox full' })
  const { outcome, news } = await tried(task, 10)
  assert.deepEqual(outcome, {
    ...{ kind: 'expired', at: time(10), status: '4.4.7', reason: 'no connection', mxHost: 'mx.far.test' },
    reply: '450 4.2.2 mailbox full',
  })
  assert.equal(news.kind, 'trouble')
  const fresh = await tried(task, 10, '421 4.3.2 closing')
  assert.equal(fresh.outcome.kind === 'expired' && fresh.outcome.reply, '421 4.3.2 closing')
})
