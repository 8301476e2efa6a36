import assert from 'node:assert/strict'
import { test } from 'node:test'

import { isPrivate } from './addresses.ts'

test('loopback, private and special addresses are told from public ones', () => {
  const inside = [
    ...['0.0.0.0', '10.1.2.3', '100.64.0.1', '127.0.0.1', '169.254.1.1', '172.16.0.1', '172.31.255.255'],
    ...['192.168.0.1', '224.0.0.1', '255.255.255.255', '::', '::1', 'fe80::1', 'fc00::1', 'fd12::1', 'ff02::1'],
    ...['::ffff:127.0.0.1', '::ffff:10.0.0.1', '::ffff:7f00:1'],
  ]
  const outside = ['8.8.8.8', '100.128.0.1', '172.32.0.1', '192.169.0.1', '2001:4860:4860::8888', '::ffff:8.8.8.8']
  assert.deepEqual(
    inside.filter((address) => !isPrivate(address)),
    [],
  )
  assert.deepEqual(outside.filter(isPrivate), [])
})
