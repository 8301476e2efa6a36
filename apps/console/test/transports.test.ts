/** `postbus transport` through its front door, on a real bus, with a directory that says what the test wants. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { addTransport, changeTransport, explainRoute, type ListedTransport, listTransports } from '@postbus/contracts'
import type { z } from 'zod'

import { call, createdAt, platform } from './platform.ts'

const bulk: ListedTransport = {
  ...{
    name: 'bulk',
    match: { domain: '*', sender: '@bulk.test' },
    policy: { concurrency: 3, tls: 'implicit' },
    createdAt,
  },
  action: { kind: 'smarthost', host: 'smart.test', port: 465, username: 'us', hasPassword: true },
}

test('a transport rule says what the options say, and no password is shown', async (t) => {
  const { env, answers } = await platform(t)
  const seen: unknown[] = []
  await answers(addTransport, (input) => {
    seen.push(input)
    return bulk
  })
  await answers(changeTransport, (input) => {
    seen.push(input)
    return bulk
  })
  const add = ['transport', 'add', 'bulk', '*', '--sender', '@bulk.test', '--smarthost', 'smart.test:465']
  const credentials = ['--username', 'us', '--password', 'correct horse']
  const added = await call(
    [...add, ...credentials, '--tls', 'implicit', '--lifetime', '12h', '--concurrency', '3'],
    env,
  )
  assert.deepEqual([added.status, added.err], [0, ''])
  assert.match(added.out, /^way +smarthost smart\.test:465 as us$/m)
  assert.doesNotMatch(added.out, /correct/)
  await call(['transport', 'add', 'gone', '.gone.test', '--fail', '5.1.6 moved away'], env)
  await call(['transport', 'add', 'slow', 'slow.test', '--per-minute', '10'], env)
  await call(['transport', 'change', 'bulk', '--tls', 'default', '--concurrency', 'none', '--lmtp', '[::1]:24'], env)
  assert.deepEqual(seen, [
    {
      ...{ name: 'bulk', match: { domain: '*', sender: '@bulk.test' } },
      action: { kind: 'smarthost', host: 'smart.test', port: 465, username: 'us', password: 'correct horse' },
      policy: { concurrency: 3, lifetimeS: 43_200, tls: 'implicit' },
    },
    {
      ...{ name: 'gone', match: { domain: '.gone.test' }, policy: {} },
      action: { kind: 'fail', status: '5.1.6', reason: 'moved away' },
    },
    { name: 'slow', match: { domain: 'slow.test' }, action: { kind: 'mx' }, policy: { perMinute: 10 } },
    { name: 'bulk', action: { kind: 'lmtp', host: '::1', port: 24 }, policy: { concurrency: null, tls: null } },
  ])
})

test('transport rules are listed to the last page', async (t) => {
  const { env, answers } = await platform(t)
  const all = ['a', 'b', 'c'].map((name) => ({ ...bulk, name }))
  await answers(listTransports, ({ after = '' }) => {
    const rest = all.filter(({ name }) => name > after)
    return { transports: rest.slice(0, 2), more: rest.length > 2 }
  })
  const { out } = await call(['transport', 'list'], env)
  assert.equal(out.trimEnd().split('\n').length, 4)
  assert.match(out, /^c +\* +@bulk\.test +smarthost smart\.test:465 as us +concurrency=3 tls=implicit$/m)
})

test('transport test says which rule is about an address, and which hosts would be tried', async (t) => {
  const { env, answers } = await platform(t)
  await answers(explainRoute, ({ recipient, sender }): z.input<typeof explainRoute.output> => {
    assert.deepEqual([recipient, sender], ['ann@far.test', 'x@bulk.test'])
    return {
      ...{ rule: 'bulk', way: 'hosts', tls: 'required', username: 'us', key: 'smtp:smart.test:587 (bulk)', policy: {} },
      hosts: [{ name: 'smart.test', address: '192.0.2.1', port: 587 }],
    }
  })
  const { out } = await call(['transport', 'test', 'ann@far.test', '--sender', 'x@bulk.test'], env)
  assert.match(out, /^rule +bulk$/m)
  assert.match(out, /^smart\.test +192\.0\.2\.1 +587$/m)
})
