import assert from 'node:assert/strict'
import { getEventListeners } from 'node:events'
import { test } from 'node:test'

import { TimeLimit, within } from './time-limit.ts'

const until = (signal: AbortSignal): Promise<never> =>
  new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason)
    signal.addEventListener('abort', () => reject(signal.reason))
  })

test('a wait ends in time, or with what ends it, and leaves nothing behind', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const end = new AbortController()
  const late = within(1000, [end.signal], until)
  t.mock.timers.tick(1000)
  await assert.rejects(late, TimeLimit)
  assert.equal(await within(1000, [end.signal], async () => 5), 5)
  const ended = within(1000, [end.signal], until)
  end.abort(new Error('over'))
  await assert.rejects(ended, /over/)
  await assert.rejects(within(1000, [end.signal], until), /over/)
  assert.equal(getEventListeners(end.signal, 'abort').length, 0)
})
