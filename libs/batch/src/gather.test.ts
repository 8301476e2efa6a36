import assert from 'node:assert/strict'
import { test } from 'node:test'

import { BatchFull, gather } from './gather.ts'

test('items that arrive during a flush share the next one', async () => {
  const flushes: number[][] = []
  const gate = Promise.withResolvers<void>()
  const { add } = gather<number, number>(
    async (items) => {
      flushes.push(items)
      if (flushes.length === 1) await gate.promise
      return items.map((item) => item * 10)
    },
    { maxItems: 100, maxWaiting: 100 },
  )
  const first = add(1)
  await new Promise((resolve) => setImmediate(resolve))
  const others = [add(2), add(3), add(4)]
  gate.resolve()
  assert.deepEqual(await Promise.all([first, ...others]), [10, 20, 30, 40])
  assert.deepEqual(flushes, [[1], [2, 3, 4]])
})

test('while flushes follow upon each other more may join the next one; a full one goes at once', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const flushes: number[][] = []
  const first = Promise.withResolvers<void>()
  const { add, idle } = gather<number, void>(
    async (items) => {
      flushes.push(items)
      if (flushes.length === 1) await first.promise
      return items.map(() => undefined)
    },
    { maxItems: 3, maxWaiting: 100, lingerMs: 10 },
  )
  const alone = add(1)
  while (flushes.length === 0) await new Promise((resolve) => setImmediate(resolve))
  const second = add(2)
  first.resolve()
  await alone
  void add(3)
  await new Promise((resolve) => setImmediate(resolve))
  assert.deepEqual(flushes, [[1]])
  t.mock.timers.tick(10)
  for (const item of [4, 5, 6]) void add(item)
  await second
  await idle()
  assert.deepEqual(flushes, [[1], [2, 3, 4], [5, 6]])
})

test('a failed flush fails its own items and no others', async () => {
  let flushes = 0
  const { add } = gather<string, string>(
    async (items) => {
      if (++flushes === 1) throw new Error('disk')
      return items
    },
    { maxItems: 1, maxWaiting: 100 },
  )
  const results = await Promise.allSettled([add('a'), add('b')])
  assert.deepEqual(
    results.map(({ status }) => status),
    ['rejected', 'fulfilled'],
  )
})

test('a flush is bounded by size, and a larger item travels alone', async () => {
  const flushes: number[][] = []
  const { add, idle } = gather<number, void>(
    async (items) => {
      flushes.push(items)
      return items.map(() => undefined)
    },
    { maxItems: 100, maxSize: 10, sizeOf: (item) => item, maxWaiting: 100 },
  )
  for (const item of [4, 5, 6, 50, 1]) void add(item)
  await idle()
  assert.deepEqual(flushes, [[4, 5], [6], [50], [1]])
})

test('waiting is bounded', async () => {
  const { add } = gather<number, void>(() => new Promise(() => {}), { maxItems: 1, maxWaiting: 2 })
  void add(1)
  void add(2)
  await assert.rejects(add(3), BatchFull)
})
