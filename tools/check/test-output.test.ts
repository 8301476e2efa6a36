import assert from 'node:assert/strict'
import { test } from 'node:test'

import { countOf, failuresIn } from './test-output.ts'

const MIXED = `
@postbus/bus: ✖ a lease is renewed (12.5ms)
@postbus/smtp: ✔ a greeting (1.5ms)
@postbus/bus: ℹ pass 3
@postbus/bus: ℹ fail 1
@postbus/bus: ✖ failing tests:
@postbus/bus: test at test/lease.test.ts:33:1
@postbus/smtp: ℹ pass 40
@postbus/smtp: ℹ fail 0
@postbus/bus: ✖ a lease is renewed (12.5ms)
@postbus/imap: ✖ failing tests:
@postbus/imap: ✖ IDLE (7ms)
@postbus/bus:   AssertionError: true is not false

 NX   Running target test for 3 projects failed
`

test('counts of all suites are added up', () => {
  assert.equal(countOf('pass', MIXED), 43)
  assert.equal(countOf('fail', MIXED), 1)
  assert.equal(countOf('skipped', MIXED), 0)
})

test('what failed is told again, of one suite after the other, with its causes', () => {
  assert.deepEqual(failuresIn(MIXED), [
    '@postbus/bus: ✖ failing tests:',
    '@postbus/bus: test at test/lease.test.ts:33:1',
    '@postbus/bus: ✖ a lease is renewed (12.5ms)',
    '@postbus/bus:   AssertionError: true is not false',
    '@postbus/imap: ✖ failing tests:',
    '@postbus/imap: ✖ IDLE (7ms)',
  ])
})

test('a suite that ran alone has no name in front, and ends where Nx speaks', () => {
  const output = '✔ one (1ms)\n✖ failing tests:\n\n✖ two (1ms)\n  Error: no\n\n NX   Running target test failed\n'
  assert.deepEqual(failuresIn(output), ['✖ failing tests:', '', '✖ two (1ms)', '  Error: no', ''])
})

test('where nothing failed nothing is told', () => {
  assert.deepEqual(failuresIn('@postbus/smtp: ✔ failing tests: none\n@postbus/smtp: ℹ fail 0\n'), [])
})
