import assert from 'node:assert/strict'
import { test } from 'node:test'

import { GaveWay, Turns } from './turns.ts'

const never = (signal: AbortSignal): Promise<never> =>
  new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason)
    else signal.addEventListener('abort', () => reject(signal.reason), { once: true })
  })

test('turns of one task come one after the other, those of others at once', async () => {
  const turns = new Turns()
  const said: string[] = []
  const gate = Promise.withResolvers<void>()
  const first = turns.take('a', async () => {
    await gate.promise
    said.push('first')
  })
  const second = turns.take('a', async () => void said.push('second'))
  await turns.take('b', async () => void said.push('other'))
  gate.resolve()
  await Promise.all([first, second])
  assert.deepEqual(said, ['other', 'first', 'second'])
  assert.equal(turns.isTaken('a'), false)
})

test('a claim goes before all who only wait, and they come again after it', async () => {
  const turns = new Turns()
  const said: string[] = []
  const waiting = async (name: string): Promise<void> => {
    for (let time = 1; ; time++) {
      try {
        return await turns.take('a', async ({ claimed }) => {
          if (time === 1) await never(claimed)
          said.push(name)
        })
      } catch (error) {
        assert.ok(error instanceof GaveWay)
      }
    }
  }
  const both = [waiting('one'), waiting('other')]
  assert.equal(await turns.claim('a', 60_000, async () => said.push('act')), 1)
  await Promise.all(both)
  assert.deepEqual(said, ['act', 'one', 'other'])
})

test('who is at work is not disturbed; a claim that waits too long does nothing, and holds up nobody', async () => {
  const turns = new Turns()
  const gate = Promise.withResolvers<void>()
  const attempt = turns.take('a', () => gate.promise)
  assert.equal(await turns.claim('a', 1, async () => assert.fail('not its turn')), null)
  const next = turns.take('a', async () => 'next')
  gate.resolve()
  await attempt
  assert.equal(await next, 'next')
  assert.equal(turns.isTaken('a'), false)
})

test('a turn that fails is over', async () => {
  const turns = new Turns()
  await assert.rejects(
    turns.take('a', async () => {
      throw new Error('disk')
    }),
    /disk/,
  )
  assert.equal(await turns.claim('a', 1, async () => 'free'), 'free')
})
