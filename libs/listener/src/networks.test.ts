import assert from 'node:assert/strict'
import { test } from 'node:test'

import { Networks, plainAddress } from './networks.ts'

test('membership is by address or network, and IPv4 in IPv6 is IPv4', () => {
  const networks = new Networks(['10.0.0.0/8', '192.0.2.1', '2001:db8::/32'])
  for (const address of ['10.1.2.3', '::ffff:10.1.2.3', '192.0.2.1', '2001:db8::5'])
    assert.ok(networks.includes(address), address)
  for (const address of ['11.0.0.1', '192.0.2.2', '2001:db9::1', '']) assert.ok(!networks.includes(address), address)
  assert.throws(() => new Networks(['balancer.test']))
  assert.equal(plainAddress('::FFFF:192.0.2.1'), '192.0.2.1')
})
