import assert from 'node:assert/strict'
import { test } from 'node:test'

import { QueueId } from '@postbus/contracts'

import { drawLife } from './draw.ts'
import { type History, type Known, lifeOf, type MessageLife } from './life.ts'
import { isOver, newsTeller } from './news.ts'

const acceptedAt = '2026-01-05T10:00:00.000Z'
const at = (ms: number): string => new Date(Date.parse(acceptedAt) + ms).toISOString()
const [bob, carol] = ['00000000000000b0', '00000000000000c0'] as const
const queueId = QueueId.parse('01KE6BN3R0000000000000000A')
const reportId = QueueId.parse('01KE6BN3R0000000000000000B')
const common = { queueId, incarnation: 0 }

function known(more: Partial<Known> = {}): Known {
  const recipient = (n: string, original: number, forwardPath: string): Known['recipients'][number] => ({
    ...{ n, original, forwardPath, state: 'routed', attempt: 0, incarnation: 0, at: at(40), routedAt: at(40) },
  })
  return {
    ...{ queueId, origin: 'submission', acceptedAt, reversePath: 'ann@example.org', size: 476 },
    traceId: '4bf92f3577b34da6a3ce929d0e0e4736',
    originals: [
      { recipient: { forwardPath: 'team@example.org' }, routed: true },
      { recipient: { forwardPath: 'carol@far.test' }, routed: true },
    ],
    recipients: [recipient(bob, 0, 'bob@example.org'), recipient(carol, 1, 'carol@far.test')],
    ...more,
  }
}

const history = (forwardPath: string, statuses: History['history'], more: Partial<History> = {}): History => ({
  ...{ forwardPath, state: 'routed', history: statuses, laterReports: [] },
  ...more,
})

const delivered = history('bob@example.org', [
  { ...common, n: bob, kind: 'delivered', attempt: 0, at: at(300), tookMs: 250, account: 'bob000000000' },
])
const failed = history(
  'carol@far.test',
  [
    {
      ...{ ...common, n: carol, kind: 'deferred', attempt: 1, at: at(500), tookMs: 203, status: '4.2.1' },
      ...{ reason: 'later', reply: '450 4.2.1 later', mxHost: 'mx.far.test', nextAttemptAt: at(60_000) },
    },
    {
      ...common,
      n: carol,
      kind: 'failed',
      attempt: 2,
      at: at(60_400),
      status: '5.1.1',
      reason: 'No such\u001b[2J user',
    },
  ],
  { report: reportId },
)

const report: MessageLife = lifeOf(
  {
    ...known(),
    queueId: reportId,
    origin: 'report',
    acceptedAt: at(61_000),
    reversePath: '',
    originals: [],
    recipients: [],
  },
  new Map(),
)

const whole = (): MessageLife =>
  lifeOf(
    known({ freedAt: at(62_000) }),
    new Map([
      [bob, delivered],
      [carol, failed],
    ]),
    new Map([[reportId, report]]),
  )

test('a life is drawn as a tree: every step with its time and its duration, the report inside', () => {
  assert.equal(
    drawLife(whole()),
    `
01KE6BN3R0000000000000000A  from ann@example.org, 476 octets, accepted 2026-01-05T10:00:00.000Z by submission
├─ trace 4bf92f3577b34da6a3ce929d0e0e4736
├─ bob@example.org (from team@example.org)  routed
│  ├─ +0.040 s    routed
│  └─ +0.300 s    delivered  250 ms  account bob000000000
├─ carol@far.test  routed
│  ├─ +0.040 s    routed
│  ├─ +0.500 s    deferred  attempt 1, 203 ms  mx.far.test: 450 4.2.1 later; next at 2026-01-05T10:01:00.000Z
│  ├─ +60.400 s   failed  attempt 2  5.1.1 No such?[2J user
│  ├─ +61.000 s   reported  in 01KE6BN3R0000000000000000B
│  └─ 01KE6BN3R0000000000000000B  from <>, 476 octets, accepted 2026-01-05T10:01:01.000Z by report
│     ├─ trace 4bf92f3577b34da6a3ce929d0e0e4736
│     └─ in the spool, not at its end
└─ +62.000 s   freed`.trimStart(),
  )
})

test('recipients beyond those asked for are counted, and those not yet routed are named', () => {
  const originals = [{ recipient: { forwardPath: 'dora@example.org' }, routed: false }]
  const life = lifeOf(known({ originals }), new Map([[bob, delivered]]))
  assert.deepEqual([life.recipients.length, life.more, life.unrouted], [1, 1, ['dora@example.org']])
})

test('following tells everything once, in order, and ends when the report has ended too', () => {
  const news = newsTeller()
  const early = lifeOf(known(), new Map([[bob, delivered]]))
  assert.deepEqual(
    news(early).map(({ what }) => what),
    ['accepted', 'routed', 'delivered'],
  )
  assert.deepEqual(news(early), [])
  assert.deepEqual(
    news(whole()).map(({ what, forwardPath = '' }) => `${what} ${forwardPath}`.trim()),
    [
      'routed carol@far.test',
      'deferred carol@far.test',
      'failed carol@far.test',
      'reported carol@far.test',
      'accepted',
      'freed',
    ],
  )
  assert.equal(isOver(early), false)
  assert.equal(isOver(whole()), false, 'the report is still on its way')
})
