import assert from 'node:assert/strict'
import { test } from 'node:test'

import { sites } from './sites.ts'

interface Task {
  site: string
  message: string
  to: string
}

const task = (site: string, message: string, to: string): Task => ({ site, message, to })
const options = {
  siteOf: ({ site }: Task) => site,
  groupOf: ({ message }: Task) => message,
  maxRecipients: 2,
  concurrencyPerSite: 1,
  concurrency: 10,
  gatherMs: 1,
}

test('recipients of one message and site share a transaction, up to the bound', async () => {
  const transactions: string[][] = []
  const { submit } = sites<Task, string>(async (tasks) => {
    transactions.push(tasks.map(({ to }) => to))
    return tasks.map(({ to }) => `sent ${to}`)
  }, options)
  const results = await Promise.all(['a', 'b', 'c'].map((to) => submit(task('x.test', 'm1', to))))
  assert.deepEqual(results, ['sent a', 'sent b', 'sent c'])
  assert.deepEqual(transactions, [['a', 'b'], ['c']])
})

test('a site that hangs holds nobody but its own mail', async () => {
  const hanging = Promise.withResolvers<void>()
  const { submit } = sites<Task, string>(async (tasks) => {
    if (tasks[0]?.site === 'slow.test') await hanging.promise
    return tasks.map(({ to }) => to)
  }, options)
  const slow = [submit(task('slow.test', 'm1', 'a')), submit(task('slow.test', 'm2', 'b'))]
  assert.equal(await submit(task('fast.test', 'm3', 'c')), 'c')
  hanging.resolve()
  assert.deepEqual(await Promise.all(slow), ['a', 'b'])
})

test('a transaction that throws rejects its own tasks only', async () => {
  const { submit } = sites<Task, string>(async (tasks) => {
    if (tasks[0]?.to === 'bad') throw new Error('spool')
    return tasks.map(({ to }) => to)
  }, options)
  const [bad, good] = await Promise.allSettled([
    submit(task('x.test', 'm1', 'bad')),
    submit(task('x.test', 'm2', 'good')),
  ])
  assert.deepEqual([bad.status, good.status], ['rejected', 'fulfilled'])
})

test('a task that is taken back before its turn is not delivered, and holds up nobody', async () => {
  const hanging = Promise.withResolvers<void>()
  const transactions: string[] = []
  const { submit } = sites<Task, string>(async (tasks) => {
    transactions.push(...tasks.map(({ to }) => to))
    await hanging.promise
    return tasks.map(({ to }) => to)
  }, options)
  const stopping = new AbortController()
  const begun = submit(task('x.test', 'm1', 'a'), stopping.signal)
  while (transactions.length === 0) await new Promise((resolve) => setImmediate(resolve))
  const waiting = submit(task('x.test', 'm2', 'b'), stopping.signal)
  stopping.abort(new Error('stopping'))
  await assert.rejects(waiting, /stopping/)
  hanging.resolve()
  assert.equal(await begun, 'a')
  assert.deepEqual(transactions, ['a'])
})
