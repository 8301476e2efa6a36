import assert from 'node:assert/strict'
import { test } from 'node:test'

import { balanceOf, type BooksCounts, isBalanced } from './balance.ts'

const counts = (changes: Partial<BooksCounts> = {}): BooksCounts => ({
  since: Date.UTC(2026, 0, 5, 10),
  // Five originals: four are routed, one of these to a list of four members, of whom one is somebody else's copy.
  ...{ accepted: 5, routed: 4, notYetRouted: 1, added: 3, merged: 1, copies: 1 },
  states: { delivered: 1, relayed: 1, failed: 1, expired: 1, deferred: 1, held: 1 },
  failures: [],
  ...changes,
})

test('what was accepted and added, less what was merged, is what ended and what is pending', () => {
  const balance = balanceOf(counts())
  assert.deepEqual(balance.differences, { originals: 0, recipients: 0, merged: 0 })
  assert.ok(isBalanced(balance))
  assert.deepEqual(balance.pending, { notYetRouted: 1, queued: 1, held: 1, dead: 0 })
  assert.equal(balance.failed.total, 2)
  assert.equal(balance.since, '2026-01-05T10:00:00.000Z')
})

test('empty books balance', () => {
  const nothing = { accepted: 0, routed: 0, notYetRouted: 0, added: 0, merged: 0, copies: 0 }
  const balance = balanceOf({ since: null, ...nothing, states: {}, failures: [] })
  assert.ok(isBalanced(balance))
  assert.equal(balance.since, undefined)
})

test('every state counts on the right side, once', () => {
  const states = [
    'routed',
    'delivered',
    'relayed',
    'deferred',
    'failed',
    'expired',
    'discarded',
    'held',
    'cancelled',
    'dead',
  ]
  for (const state of states) {
    const { differences } = balanceOf(
      counts({ accepted: 1, routed: 1, notYetRouted: 0, added: 0, merged: 0, copies: 0, states: { [state]: 1 } }),
    )
    assert.deepEqual(differences, { originals: 0, recipients: 0, merged: 0 }, state)
  }
})

test('one too few is a difference above 0, one too many one below', () => {
  for (const [changes, differences] of [
    [{ states: { delivered: 5 } }, { originals: 0, recipients: 1, merged: 0 }],
    [{ states: { delivered: 7 } }, { originals: 0, recipients: -1, merged: 0 }],
    [{ copies: 0 }, { originals: 0, recipients: 0, merged: 1 }],
    [{ routed: 3 }, { originals: 1, recipients: 0, merged: 0 }],
    [{ accepted: 4 }, { originals: -1, recipients: -1, merged: 0 }],
  ] satisfies [Partial<BooksCounts>, unknown][]) {
    const balance = balanceOf(counts(changes))
    assert.deepEqual(balance.differences, differences)
    assert.ok(!isBalanced(balance))
  }
})

test('a failure nobody is told of says why', () => {
  const of = (reversePath: string, notify?: ('NEVER' | 'FAILURE')[]) => ({
    final: { reversePath },
    original: { ...(notify && { notify }) },
    entry: { origin: 'inbound' as const, reversePath },
  })
  const { failed } = balanceOf(
    counts({
      failures: [
        { recipients: 2, report: 'done' },
        { recipients: 1, report: 'pending' },
        { recipients: 1, report: of('smith@example.org', ['NEVER']) },
        { recipients: 3, report: of('') },
        { recipients: 1, report: of('smith@example.org') },
        { recipients: 1, report: null },
        { recipients: 1, report: of('brown@example.org', ['NEVER']) },
      ],
    }),
  )
  assert.deepEqual(failed, {
    ...{ total: 2, reported: 2, reportPending: 1 },
    unreported: [
      { reason: 'the reverse-path is null', recipients: 3 },
      { reason: 'NOTIFY=NEVER', recipients: 2 },
      { reason: 'the books do not say why', recipients: 2 },
    ],
  })
})
