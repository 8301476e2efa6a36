import assert from 'node:assert/strict'
import { test } from 'node:test'

import { suspicionOf } from './tried.ts'

test('three deliveries that ended without a word make an event suspect', () => {
  const note = { givenBack: 0, loneTries: 0 }
  assert.deepEqual(
    [1, 2, 3, 4, 50].map((deliveries) => suspicionOf(deliveries, note)),
    ['none', 'none', 'none', 'alone', 'alone'],
  )
})

test('deliveries that were given back do not count, however many', () => {
  assert.equal(suspicionOf(51, { givenBack: 50, loneTries: 0 }), 'none')
  assert.equal(suspicionOf(54, { givenBack: 50, loneTries: 0 }), 'alone')
})

test('being in hand at any number of deaths does not condemn; only lone tries that ended without a word do', () => {
  assert.equal(suspicionOf(1000, { givenBack: 0, loneTries: 2 }), 'alone')
  assert.equal(suspicionOf(7, { givenBack: 0, loneTries: 3 }), 'condemned')
})
