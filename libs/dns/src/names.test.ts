import assert from 'node:assert/strict'
import { test } from 'node:test'

import { reverseName } from './names.ts'

test('the name of an address is its digits backwards', () => {
  assert.equal(reverseName('192.0.2.1'), '1.2.0.192.in-addr.arpa')
  const zeros = (count: number): string => '0.'.repeat(count)
  assert.equal(reverseName('2001:db8::1'), `1.${zeros(23)}8.b.d.0.1.0.0.2.ip6.arpa`)
  assert.equal(reverseName('::'), `${zeros(32)}ip6.arpa`)
  assert.equal(reverseName('::ffff:192.0.2.1'), `1.0.2.0.0.0.0.c.f.f.f.f.${zeros(20)}ip6.arpa`)
  assert.equal(reverseName('1:2:3:4:5:6:7:8'), [...'87654321'].map((digit) => `${digit}.0.0.0.`).join('') + 'ip6.arpa')
})
