import assert from 'node:assert/strict'
import { test } from 'node:test'

import { MailAccepted, MAX_MEMBERS, type Resolution, type Status } from '@postbus/contracts'

import { type RouteLimits, routeMessage } from './route-message.ts'

const limits: RouteLimits = {
  maxDepth: 5,
  maxAddresses: 3000,
  maxRecipients: 2000,
  maxQueueTimeMs: 5 * 86_400_000,
  shards: 4,
}

const account = (name: string): Resolution => ({
  kind: 'account',
  account: `${name}00000000`,
  address: `${name}@example.org`,
})
const alias = (name: string, ...members: string[]): Resolution => ({ kind: 'alias', name, members })

const directory: Record<string, Resolution> = {
  'jones@example.org': account('jones'),
  'Jones@Example.ORG': account('jones'),
  'jones+news@example.org': { ...account('jones'), kind: 'account', detail: 'news' } as Resolution,
  'brown@example.org': account('brown'),
  'old@example.org': { kind: 'disabled' },
  'info@example.org': alias('info@example.org', 'jones@example.org', 'ann@far.test'),
  'both@example.org': alias('both@example.org', 'info@example.org', 'brown@example.org', 'ann@FAR.test'),
  'empty@example.org': alias('empty@example.org'),
  'self@example.org': alias('self@example.org', 'self@example.org', 'brown@example.org'),
  'ping@example.org': alias('ping@example.org', 'pong@example.org'),
  'pong@example.org': alias('pong@example.org', 'ping@example.org'),
  'three@example.org': alias('three@example.org', 'left@example.org', 'right@example.org', 'brown@example.org'),
  'left@example.org': alias('left@example.org', 'right@example.org'),
  'right@example.org': alias('right@example.org', 'left@example.org'),
  'list@example.org': {
    kind: 'list',
    name: 'list@example.org',
    members: ['ann@far.test', 'brown@example.org'],
    reversePath: 'list-bounces@example.org',
  },
  'mixed@example.org': alias('mixed@example.org', 'ann@far.test', 'list@example.org'),
  'jones@old.test': { kind: 'rewrite', rule: 'old.test to example.org', forwardPath: 'jones@example.org' },
  'noreply@example.org': { kind: 'discard', rule: 'noreply' },
}
for (let step = 0; step < 10; step++)
  directory[`deep${step}@example.org`] = alias(`deep${step}@example.org`, `deep${step + 1}@example.org`)
for (let list = 0; list < 4; list++) {
  const members = Array.from({ length: MAX_MEMBERS }, (_, index) => `m${list}-${index}@far.test`)
  directory[`huge${list}@example.org`] = alias(`huge${list}@example.org`, ...members)
}
directory['everyone@example.org'] = alias(
  'everyone@example.org',
  ...[0, 1, 2, 3].map((list) => `huge${list}@example.org`),
)

const lookUp = (address: string): Resolution => {
  const known = directory[address]
  if (known) return known
  const domain = address.slice(address.lastIndexOf('@') + 1).toLowerCase()
  return domain === 'example.org' ? { kind: 'unknown' } : { kind: 'remote', domain }
}

const accepted = (...recipients: (string | object)[]) =>
  MailAccepted.schema.parse({
    queueId: '01J9ZK3V8Q6X4T2M7N5R1C0B9A',
    incarnation: 0,
    acceptedAt: '2026-01-05T10:00:00Z',
    origin: 'submission',
    size: 1000,
    smtputf8: false,
    requireTls: false,
    messageId: '<a@example.org>',
    envelope: {
      reversePath: 'smith@example.org',
      envid: 'E1',
      recipients: recipients.map((one) => (typeof one === 'string' ? { forwardPath: one } : one)),
    },
  })

const ports = {
  resolve: async (addresses: readonly string[]) => addresses.map(lookUp),
  now: () => new Date('2026-01-05T10:00:01Z'),
}

async function routed(event: MailAccepted, within: Partial<RouteLimits> = {}) {
  const route = await routeMessage(event, ports, { ...limits, ...within })
  const pages = route.statuses.filter((status) => status.kind === 'routed')
  const ends = route.statuses.filter((status) => status.kind !== 'routed')
  return { ...route, pages, ends, finals: pages.flatMap((page) => page.recipients) }
}

const outcome = (status: Status): string =>
  status.kind === 'failed' ? `failed ${status.status}` : status.kind === 'discarded' ? `discarded ${status.rule}` : '?'

test('a local and a remote recipient each get their task, and are in the routed list before', async () => {
  const route = await routed(accepted('jones@example.org', 'ann@far.test'))
  assert.deepEqual(
    route.local.map(({ account, forwardPath, reversePath }) => ({ account, forwardPath, reversePath })),
    [{ account: 'jones00000000', forwardPath: 'jones@example.org', reversePath: 'smith@example.org' }],
  )
  assert.deepEqual(
    route.out.map(({ site, attempt, expiresAt }) => ({ site, attempt, expiresAt })),
    [{ site: 'far.test', attempt: 1, expiresAt: '2026-01-10T10:00:00.000Z' }],
  )
  assert.deepEqual(
    route.finals.map(({ n }) => n),
    [route.local[0]?.n, route.out[0]?.n],
  )
  assert.deepEqual(route.ends, [])
})

test('a second run numbers every recipient alike', async () => {
  const event = accepted('both@example.org', 'list@example.org', 'jones+news@example.org')
  const [first, second] = [await routed(event), await routed(event)]
  assert.deepEqual(second, first)
})

test('an unknown recipient does not stop the others', async () => {
  const route = await routed(accepted('green@example.org', 'old@example.org', 'noreply@example.org', 'ann@far.test'))
  assert.deepEqual(route.ends.map(outcome), ['failed 5.1.1', 'failed 5.2.1', 'discarded noreply'])
  assert.equal(route.out.length, 1)
  assert.equal(route.pages.length, 4)
})

test('an alias keeps the reverse-path of the sender', async () => {
  const route = await routed(accepted('info@example.org'))
  assert.deepEqual(
    [...route.local, ...route.out].map((task) => [task.forwardPath, task.reversePath, task.original.forwardPath]),
    [
      ['jones@example.org', 'smith@example.org', 'info@example.org'],
      ['ann@far.test', 'smith@example.org', 'info@example.org'],
    ],
  )
})

test('a list sets its own reverse-path, and what the author asked to be told ends there', async () => {
  const route = await routed(
    accepted({ forwardPath: 'list@example.org', notify: ['SUCCESS'], orcpt: 'rfc822;list@example.org' }),
  )
  for (const task of [...route.local, ...route.out]) {
    assert.equal(task.reversePath, 'list-bounces@example.org')
    assert.deepEqual(task.original, { forwardPath: 'list@example.org' })
    assert.equal(task.envid, undefined)
  }
})

test('of an alias with several recipients the sender hears once, so none of them is asked for success', async () => {
  const notify = async (...words: string[]) => {
    const { local, out, statuses } = await routeMessage(
      accepted(
        { forwardPath: 'mixed@example.org', notify: words },
        { forwardPath: 'jones@example.org', notify: words },
      ),
      ports,
      limits,
    )
    return {
      asked: [...out, ...local].map(({ forwardPath, original }) => [forwardPath, original.notify?.join()]),
      expanded: statuses
        .flatMap((status) => (status.kind === 'routed' ? status.recipients : []))
        .map((r) => r.expanded),
    }
  }
  // RFC 3461 §5.2.7.2 (c); the list behind the alias sends messages of its own.
  const { asked, expanded } = await notify('SUCCESS', 'FAILURE')
  assert.deepEqual(asked, [
    ['ann@far.test', 'FAILURE'],
    ['ann@far.test', undefined],
    ['brown@example.org', undefined],
    ['jones@example.org', 'SUCCESS,FAILURE'],
  ])
  assert.deepEqual(expanded, [true, undefined, undefined, undefined])
  assert.equal((await notify('SUCCESS')).asked[0]?.[1], 'NEVER')
  assert.equal((await notify('NEVER')).asked[0]?.[1], 'NEVER')
})

test('a list never makes a report answerable', async () => {
  const event = accepted('list@example.org')
  const route = await routed({ ...event, envelope: { ...event.envelope, reversePath: '' } })
  assert.deepEqual(
    route.out.map((task) => task.reversePath),
    [''],
  )
})

test('the same mailbox is served once, across all recipients of the message', async () => {
  const route = await routed(accepted('jones+news@example.org', 'jones@old.test', 'Jones@Example.ORG'))
  assert.deepEqual(
    route.local.map(({ account, detail }) => ({ account, detail })),
    [{ account: 'jones00000000', detail: 'news' }],
  )
  const [first, ...rest] = route.finals
  assert.deepEqual(
    rest.map(({ destination }) => destination),
    [
      { kind: 'merged', into: first?.n },
      { kind: 'merged', into: first?.n },
    ],
  )
  assert.equal(new Set(route.finals.map(({ n }) => n)).size, 3)
})

test('the same remote address is served once per reverse-path', async () => {
  const route = await routed(accepted('mixed@example.org', 'ann@FAR.test', 'Ann@far.test'))
  assert.deepEqual(
    route.out.map(({ forwardPath, reversePath }) => [forwardPath, reversePath]),
    [
      ['ann@FAR.test', 'smith@example.org'],
      ['ann@far.test', 'list-bounces@example.org'],
      // Only far.test may interpret its local parts: Ann may be somebody else — RFC 5321 §2.4.
      ['Ann@far.test', 'smith@example.org'],
    ],
  )
  assert.equal(route.finals.filter(({ destination }) => destination.kind === 'merged').length, 1)
})

test('an address named twice by the client is two recipients with numbers of their own', async () => {
  const route = await routed(
    accepted('jones@example.org', 'jones@example.org', 'green@example.org', 'green@example.org'),
  )
  assert.equal(new Set(route.finals.map(({ n }) => n)).size, 4)
  assert.equal(route.local.length, 1)
  assert.equal(route.ends.length, 2)
})

const loops: [string, string[], string[]][] = [
  ['self@example.org', ['failed 5.4.6'], ['brown@example.org']],
  ['ping@example.org', ['failed 5.4.6'], []],
  ['three@example.org', ['failed 5.4.6'], ['brown@example.org']],
  ['empty@example.org', ['failed 5.2.4'], []],
  ['deep0@example.org', ['failed 5.4.6'], []],
  ['everyone@example.org', ['failed 5.2.4'], []],
]
test('a way that ends nowhere fails, and the other ways go on', async () => {
  for (const [original, ends, delivered] of loops) {
    const route = await routed(accepted(original))
    assert.deepEqual(route.ends.map(outcome), ends, original)
    assert.deepEqual(
      route.local.map(({ forwardPath }) => forwardPath),
      delivered,
      original,
    )
    assert.equal(route.out.length, 0, original)
  }
})

test('an expansion over the limit fails as one and leaves room for its neighbours', async () => {
  const route = await routed(
    accepted('huge0@example.org', 'jones@example.org', 'huge1@example.org', 'brown@example.org'),
    {
      maxRecipients: 1500,
    },
  )
  assert.equal(route.out.length, MAX_MEMBERS)
  assert.deepEqual(route.ends.map(outcome), ['failed 5.2.4'])
  assert.deepEqual(
    route.local.map(({ account }) => account),
    ['jones00000000', 'brown00000000'],
  )
})

test('the routed list is paged, and its first page carries what the books need', async () => {
  const route = await routed(accepted('huge0@example.org', 'jones@example.org'))
  const pages = route.pages.filter(({ original }) => original === 0)
  assert.equal(pages.length, 10)
  assert.ok(pages.every(({ pages, recipients }) => pages === 10 && recipients.length === 100))
  assert.deepEqual(
    route.pages.filter(({ recipient }) => recipient).map(({ original, page }) => [original, page]),
    [
      [0, 1],
      [1, 1],
    ],
  )
  assert.deepEqual(
    route.pages.filter(({ message }) => message).map(({ message }) => [message?.messageId, message?.reversePath]),
    [['<a@example.org>', 'smith@example.org']],
  )
})
