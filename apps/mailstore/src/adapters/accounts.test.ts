import assert from 'node:assert/strict'
import { test } from 'node:test'

import { type Bus, BusUnavailable, RequestRefused } from '@postbus/bus'
import { AccountId } from '@postbus/contracts'

import { accountsOf } from './accounts.ts'

const smith = AccountId.parse('smith000')

function directory() {
  const state = { asked: 0, answer: 'known' as 'known' | 'unknown' | 'down', changed: () => {} }
  const stoppable = { stop: async () => {} }
  const bus = {
    request: async () => {
      state.asked++
      if (state.answer === 'unknown') throw new RequestRefused('noSuchAccount', 'nobody')
      if (state.answer === 'down') throw new BusUnavailable('nobody answers')
      return { account: smith, address: 'smith@example.org', quotaBytes: 5, enabled: true }
    },
    listen: (_contract: unknown, changed: () => void) => {
      state.changed = changed
      return stoppable
    },
    onReconnect: () => stoppable,
  }
  return { state, bus: bus as unknown as Pick<Bus, 'request' | 'listen' | 'onReconnect'> }
}

test('an account is asked for once, until something changes', async () => {
  const { state, bus } = directory()
  const accounts = accountsOf(bus, { maxAgeMs: 60_000 })
  await Promise.all([accounts.describe(smith), accounts.describe(smith)])
  assert.deepEqual(await accounts.describe(smith), { address: 'smith@example.org', quotaBytes: 5 })
  assert.equal(state.asked, 1)
  state.changed()
  await accounts.describe(smith)
  assert.equal(state.asked, 2)
})

test('that there is no such account is never remembered', async () => {
  const { state, bus } = directory()
  const accounts = accountsOf(bus, { maxAgeMs: 60_000 })
  state.answer = 'unknown'
  assert.equal(await accounts.describe(smith), null)
  state.answer = 'known'
  assert.equal((await accounts.describe(smith))?.address, 'smith@example.org')
})

test('a silent directory is no answer', async () => {
  const { state, bus } = directory()
  const accounts = accountsOf(bus, { maxAgeMs: 60_000 })
  state.answer = 'down'
  await assert.rejects(accounts.describe(smith), BusUnavailable)
  state.answer = 'known'
  assert.ok(await accounts.describe(smith))
})
