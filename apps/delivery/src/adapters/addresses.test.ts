import assert from 'node:assert/strict'
import { test } from 'node:test'

import { isPrivate } from './addresses.ts'

test('loopback, private and special addresses are told from public ones', () => {
  const inside = [
    ...['0.0.0.0', '10.1.2.3', '100.64.0.1', '127.0.0.1', '169.254.1.1', '172.16.0.1', '172.31.255.255'],
    ...['192.168.0.1', '192.0.0.8', '192.0.2.1', '198.18.0.1', '198.19.255.255', '198.51.100.1', '203.0.113.1'],
    ...['224.0.0.1', '240.0.0.1', '255.255.255.255'],
    ...['::', '::1', 'fe80::1', 'fec0::1', 'fc00::1', 'fd12::1', 'ff02::1', '100::1', '5f00::1', '64:ff9b:1::1'],
    ...['2001::1', '2001:2::1', '2001:20::1', '2001:db8::1', '2002:7f00:1::', '3fff::1'],
  ]
  const outside = [
    ...['8.8.8.8', '100.128.0.1', '172.32.0.1', '192.169.0.1', '192.0.1.1', '198.20.0.1', '223.255.255.255'],
    ...['2001:4860:4860::8888', '2001:200::1', '2a00:1450::1', '3fff:1000::1'],
  ]
  assert.deepEqual(
    inside.filter((address) => !isPrivate(address)),
    [],
  )
  assert.deepEqual(outside.filter(isPrivate), [])
})

test('an IPv4 address inside an IPv6 one is what it is', () => {
  for (const around of ['::ffff:', '64:ff9b::']) {
    const inside = ['127.0.0.1', '10.0.0.1', '7f00:1', 'c0a8:1', '192.168.0.1'].map((address) => around + address)
    assert.deepEqual(
      inside.filter((address) => !isPrivate(address)),
      [],
    )
    assert.deepEqual(['8.8.8.8', '808:808'].map((address) => around + address).filter(isPrivate), [])
  }
  // Compatible addresses have ended: RFC 4291 §2.5.5.1.
  assert.equal(isPrivate('::8.8.8.8'), true)
})
