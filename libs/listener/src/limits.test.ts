import assert from 'node:assert/strict'
import { test } from 'node:test'

import { ConnectionCount } from './limits.ts'

test('a client is an IPv4 address or an IPv6 /64, however it is written', () => {
  const count = new ConnectionCount({ maxConnections: 100, maxConnectionsPerClient: 1 })
  assert.equal(count.enter('192.0.2.1'), null)
  assert.equal(count.enter('192.0.2.1'), 'client')
  assert.equal(count.enter('192.0.2.2'), null)
  assert.equal(count.enter('2001:db8::1'), null)
  assert.equal(count.enter('2001:db8:0:0:ffff::1'), 'client')
  assert.equal(count.enter('2001:db8:0:1::1'), null)
  assert.equal(count.enter('::1'), null)
  count.leave('2001:db8::9')
  assert.equal(count.enter('2001:db8:0:0:1:2:3:4'), null)
})

test('the total counts over all clients, and a place left is free again', () => {
  const count = new ConnectionCount({ maxConnections: 2, maxConnectionsPerClient: 2 })
  count.enter('192.0.2.1')
  count.enter('192.0.2.2')
  assert.equal(count.enter('192.0.2.3'), 'total')
  count.leave('192.0.2.1')
  assert.equal(count.total, 1)
  assert.equal(count.enter('192.0.2.3'), null)
})

test('a client that no limit concerns counts towards the total only', () => {
  const count = new ConnectionCount({
    ...{ maxConnections: 3, maxConnectionsPerClient: 1 },
    unlimitedClients: ['127.0.0.0/8', '::1'],
  })
  assert.deepEqual([count.enter('127.0.0.1'), count.enter('::1'), count.enter('::1')], [null, null, null])
  assert.equal(count.enter('127.0.0.1'), 'total')
  count.leave('::1')
  assert.equal(count.enter('192.0.2.1'), null)
})
