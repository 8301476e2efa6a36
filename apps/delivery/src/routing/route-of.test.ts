import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { Transport, TransportAction, TransportMatch, TransportPolicy } from '@postbus/contracts'

import { taskTo, time } from '../../test/samples.ts'
import { type Route, sitePolicyOf } from './route.ts'
import { expiryOf, type Routed, routeOf } from './route-of.ts'
import { TransportTable } from './transport-table.ts'

const rule = (
  name: string,
  match: TransportMatch,
  action: TransportAction = { kind: 'mx' },
  policy: TransportPolicy = {},
): Transport => ({ name, match, action, policy })

const about = (site: string, reversePath = 'smith@example.org', more: Partial<Routed> = {}): Routed => ({
  ...{ site, reversePath, submitter: undefined, via: undefined, released: undefined },
  ...more,
})

const route = (task: Routed, ...rules: Transport[]) => routeOf(task, new TransportTable(rules), null)

test('the most specific rule decides, in whatever order they stand', () => {
  const account = 'smith00000000'
  const rules = [
    rule('any', { domain: '*' }),
    rule('com', { domain: '.test' }),
    rule('sub', { domain: '.far.test' }),
    rule('exact', { domain: 'a.far.test' }),
    rule('sender-domain', { domain: '*', sender: '@example.org' }),
    rule('account', { domain: '*', sender: account }),
    rule('address', { domain: '*', sender: 'Smith@example.org' }),
    rule('null', { domain: '*', sender: '<>' }),
    rule('sender-and-suffix', { domain: '.both.test', sender: '@example.org' }),
    rule('sender-and-exact', { domain: 'a.both.test', sender: '@example.org' }),
    rule('address-and-suffix', { domain: '.both.test', sender: 'smith@example.org' }),
  ]
  const cases: [Routed, string][] = [
    [about('elsewhere.example', 'x@other.test'), 'any'],
    [about('near.test', 'x@other.test'), 'com'],
    [about('far.test', 'x@other.test'), 'sub'],
    [about('b.c.far.test', 'x@other.test'), 'sub'],
    [about('notfar.test', 'x@other.test'), 'com'],
    [about('a.far.test', 'x@other.test'), 'exact'],
    [about('[192.0.2.1]', 'x@other.test'), 'any'],
    [about('a.far.test', 'jones@EXAMPLE.org'), 'sender-domain'],
    [about('a.far.test', 'jones@example.org', { submitter: account }), 'account'],
    [about('a.far.test', 'smith@example.org', { submitter: account }), 'address'],
    [about('a.far.test', ''), 'null'],
    [about('x.both.test', 'jones@example.org'), 'sender-and-suffix'],
    [about('x.both.test', 'smith@example.org'), 'address-and-suffix'],
    [about('a.both.test', 'smith@example.org'), 'sender-and-exact'],
  ]
  for (const order of [rules, rules.toReversed()]) {
    for (const [task, name] of cases) assert.equal(route(task, ...order).rule, name, JSON.stringify(task))
  }
})

test('a sender of an internationalized domain is told in either spelling', () => {
  const match = { domain: '*', sender: '@xn--bcher-kva.test' }
  assert.equal(route(about('far.test', 'x@Bücher.test'), rule('one', match)).rule, 'one')
  assert.equal(route(about('far.test', 'x@xn--bcher-kva.test'), rule('one', match)).rule, 'one')
})

test('without a rule mail goes to the MX of its domain, or to the smarthost of the settings', () => {
  const plain = route(about('far.test'))
  assert.deepEqual(
    [plain.key, plain.shared, plain.rule, plain.way, plain.tls],
    ['far.test', false, null, { kind: 'mx', domain: 'far.test', port: null, named: false }, 'opportunistic'],
  )
  const auth = { user: 'us', password: 'secret' }
  const last = routeOf(about('far.test'), new TransportTable([]), { host: 'smart.test', port: 587, auth })
  assert.deepEqual(
    [last.key, last.shared, last.way, last.tls, last.auth],
    ['smtp:smart.test:587', true, { kind: 'hosts', host: 'smart.test', port: 587 }, 'required', auth],
  )
  const direct = routeOf(about('far.test'), new TransportTable([rule('direct', { domain: 'far.test' })]), {
    ...{ host: 'smart.test', port: 587, auth },
  })
  assert.equal(direct.way.kind, 'mx')
})

test('a smarthost gets its credentials over verified TLS unless its rule says otherwise', () => {
  const smarthost = { kind: 'smarthost', host: '2001:db8::1', port: 465 } as const
  const secret = { ...smarthost, username: 'us', password: 'secret' }
  const any = { domain: '*' }
  assert.equal(route(about('far.test'), rule('one', any, smarthost)).tls, 'opportunistic')
  assert.equal(route(about('far.test'), rule('one', any, secret)).tls, 'required')
  const implicit = route(about('far.test'), rule('one', any, secret, { tls: 'implicit' }))
  assert.deepEqual([implicit.tls, implicit.key], ['implicit', 'smtp:[2001:db8::1]:465 (one)'])
  const mx = route(about('far.test'), rule('one', any, { ...smarthost, host: 'smart.test', mx: true }))
  assert.deepEqual(mx.way, { kind: 'mx', domain: 'smart.test', port: 465, named: true })
})

test('tasks with one key have one policy', () => {
  const rules = [
    rule('domain', { domain: '.far.test' }, { kind: 'mx' }, { concurrency: 5 }),
    rule('slow', { domain: '*', sender: '@slow.test' }, { kind: 'mx' }, { concurrency: 1 }),
    rule('bulk', { domain: '*', sender: '@bulk.test' }, { kind: 'smarthost', host: 'smart.test', port: 25 }),
    rule(
      'more',
      { domain: '*', sender: '@more.test' },
      { kind: 'smarthost', host: 'smart.test', port: 25 },
      { perMinute: 1 },
    ),
  ]
  const policies = new Map<string, Set<string>>()
  for (const site of ['far.test', 'a.far.test', 'other.test']) {
    for (const sender of ['x@y.test', 'x@slow.test', 'x@bulk.test', 'x@more.test']) {
      const { key, policy } = route(about(site, sender), ...rules)
      policies.set(key, (policies.get(key) ?? new Set()).add(JSON.stringify(policy)))
    }
  }
  assert.equal(policies.size, 8)
  for (const [key, all] of policies) assert.equal(all.size, 1, key)
})

test('a reroute comes before every rule, and a smarthost that is known gets what its rule says', () => {
  const smarthost = { kind: 'smarthost', host: 'smart.test', port: 587, username: 'us', password: 'secret' } as const
  const rules = [
    rule('all', { domain: '*' }, { kind: 'fail', status: '5.7.1', reason: 'no' }, { lifetimeS: 600 }),
    rule('smart', { domain: 'x.test' }, smarthost, { concurrency: 2, lifetimeS: 60 }),
  ]
  const via = (value: string) => route(about('far.test', undefined, { via: value }), ...rules)
  assert.deepEqual(via('mx:Other.test').way, { kind: 'mx', domain: 'other.test', port: null, named: true })
  assert.deepEqual(via('smtp:[2001:db8::1]:2525').way, { kind: 'hosts', host: '2001:db8::1', port: 2525 })
  assert.deepEqual(via('lmtp:store.test:24').way, { kind: 'lmtp', host: 'store.test', port: 24 })
  const known = via('smtp:smart.test:587')
  assert.deepEqual([known.auth, known.tls, known.shared], [{ user: 'us', password: 'secret' }, 'required', true])
  assert.deepEqual(known.policy, { concurrency: 2, lifetimeS: 600 })
})

test('what was released from a hold is not held again, and goes where it would without that rule', () => {
  const rules = [
    rule('careful', { domain: 'far.test' }, { kind: 'hold', reason: 'look at it' }),
    rule('direct', { domain: '.far.test' }),
  ]
  assert.deepEqual(route(about('far.test'), ...rules).way, { kind: 'hold', reason: 'look at it' })
  assert.equal(route(about('far.test', undefined, { released: true }), ...rules).rule, 'direct')
})

test('a rule may shorten or lengthen how long a recipient waits', () => {
  const task = taskTo('ann@far.test')
  assert.deepEqual(expiryOf(task, {}), new Date(task.expiresAt))
  assert.deepEqual(expiryOf(task, { lifetimeS: 3600 }), new Date(time(60)))
  assert.deepEqual(expiryOf(task, { lifetimeS: 10 * 86_400 }), new Date(time(10 * 24 * 60)))
})

test('a smarthost has its own limit, whoever named it, unless its rule has one; no other next hop does', () => {
  const host = { kind: 'smarthost', host: 'smart.test', port: 587, mx: false } as const
  const far = about('far.test')
  const own = { concurrency: 3 }
  const cases: [Route, number | undefined][] = [
    [routeOf(far, new TransportTable([]), { host: 'smart.test', port: 587, auth: null }), 50],
    [route(far, rule('host', { domain: '*' }, host)), 50],
    [route(far, rule('domain', { domain: '*' }, { ...host, mx: true })), 50],
    [route(about('far.test', '', { via: 'smtp:smart.test:25' })), 50],
    [route(far, rule('host', { domain: '*' }, host, own)), 3],
    [route(far, rule('lmtp', { domain: '*' }, { kind: 'lmtp', host: 'store.test', port: 24 })), undefined],
    [route(far, rule('mx', { domain: '*' })), undefined],
    [route(far), undefined],
  ]
  for (const [by, expected] of cases) assert.equal(sitePolicyOf(by, 50).concurrency, expected, by.key)
})
