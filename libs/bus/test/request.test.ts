import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'

import { actOnTasks, describeAccount, resolveAddresses, where } from '@postbus/contracts'
import { currentTrace, inTrace } from '@postbus/tracing'

import { BusUnavailable, RequestRefused } from '../src/index.ts'
import { platform, queueIdOf, until } from './harness.ts'

const ask = { addresses: ['smith@example.org'] }
const answered = { resolutions: [{ kind: 'unknown' as const }], revision: 1 }

test('a question is answered, in the trace of its asker', async (t) => {
  const { bus } = await platform(t)
  const directory = await bus('directory')
  const router = await bus('router')
  let traceId: string | undefined
  await directory.answer(resolveAddresses, async ({ addresses }) => {
    traceId = currentTrace()?.traceId
    assert.deepEqual(addresses, ask.addresses)
    return answered
  })
  const traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'
  assert.deepEqual(await inTrace(traceparent, () => router.request(resolveAddresses, ask)), answered)
  assert.equal(traceId, '4bf92f3577b34da6a3ce929d0e0e4736')
})

test('a refusal of the contract reaches the asker as what it is, any other fault as unavailable', async (t) => {
  const { bus } = await platform(t)
  const directory = await bus('directory')
  const mailstore = await bus('mailstore')
  let next: Error = new RequestRefused('noSuchAccount', 'nobody')
  await directory.answer(describeAccount, async () => {
    throw next
  })
  const question = { account: 'account1' }
  await assert.rejects(mailstore.request(describeAccount, question), { name: 'RequestRefused', code: 'noSuchAccount' })
  next = new RequestRefused('inUse', 'of another contract')
  await assert.rejects(mailstore.request(describeAccount, question), BusUnavailable)
  next = new Error('database is locked')
  await assert.rejects(mailstore.request(describeAccount, question), (error: Error) => {
    assert.ok(error instanceof BusUnavailable)
    assert.doesNotMatch(error.message, /database/)
    return true
  })
})

test('a question with a place in its subject reaches the one who answers there, and nobody else', async (t) => {
  const { bus } = await platform(t)
  const operator = await bus('operator')
  const asked: string[] = []
  const answers: { stop(): Promise<void> }[] = []
  for (const lane of ['03', '04']) {
    const delivery = await bus('delivery')
    const answering = await delivery.answer(
      actOnTasks,
      async ({ by }) => {
        asked.push(`${by} at ${lane}`)
        return { results: ['done' as const] }
      },
      { tokens: { lane } },
    )
    answers.push(answering)
  }
  const tasks = [{ queueId: queueIdOf(1), n: '0123456789abcdef', site: 'far.test', shard: 0, attempt: 1 }]
  const act = (lane?: string) =>
    operator.request(actOnTasks, { act: { kind: 'retry' }, by: 'ann', tasks }, lane ? { tokens: { lane } } : {})
  assert.deepEqual(await act('04'), { results: ['done'] })
  assert.deepEqual(asked, ['ann at 04'])
  await assert.rejects(act('05'), /nobody answers/)
  await assert.rejects(act(), TypeError)
  await answers[1]?.stop()
  await assert.rejects(act('04'), /nobody answers/)
})

test('nobody to answer is known at once', async (t) => {
  const { bus } = await platform(t)
  const router = await bus('router')
  const started = performance.now()
  await assert.rejects(router.request(resolveAddresses, ask, { timeoutMs: 60_000 }), /nobody answers/)
  assert.ok(performance.now() - started < 30_000)
})

test('an answer that comes too late is not waited for, and its work is told to stop', async (t) => {
  const { bus } = await platform(t)
  const directory = await bus('directory')
  const router = await bus('router')
  const aborted = Promise.withResolvers<void>()
  const given = Promise.withResolvers<void>()
  await directory.answer(resolveAddresses, async (_input, { signal }) => {
    signal.addEventListener('abort', () => aborted.resolve())
    await given.promise
    return answered
  })
  await assert.rejects(router.request(resolveAddresses, ask, { timeoutMs: 1000 }), /no answer in 1000 ms/)
  await aborted.promise
  given.resolve()
})

test('work whose asker has given up is not begun', async (t) => {
  const { bus } = await platform(t)
  const directory = await bus('directory')
  const router = await bus('router')
  const gate = Promise.withResolvers<void>()
  let begun = 0
  await directory.answer(resolveAddresses, async () => {
    begun++
    await gate.promise
    return answered
  })
  // More than are worked on at once; those that wait give up first.
  const patient = Array.from({ length: 256 }, () => router.request(resolveAddresses, ask, { timeoutMs: 60_000 }))
  await until(() => begun === 256)
  await assert.rejects(router.request(resolveAddresses, ask, { timeoutMs: 50 }), BusUnavailable)
  // Whoever answers counts from when the question came, which may be late on a busy machine.
  const gaveUpAt = performance.now()
  await until(() => performance.now() > gaveUpAt + 1000)
  gate.resolve()
  await Promise.all(patient)
  assert.deepEqual(await router.request(resolveAddresses, ask), answered)
  assert.equal(begun, 257)
})

test('an asker that is aborted stops waiting', async (t) => {
  const { bus } = await platform(t)
  // It never ends what it was asked, and closes all the same.
  const directory = await bus('directory', { drainDeadlineMs: 100 })
  const router = await bus('router')
  await directory.answer(resolveAddresses, () => new Promise(() => {}))
  const abort = new AbortController()
  const question = router.request(resolveAddresses, ask, { signal: abort.signal })
  abort.abort(new Error('the client hung up'))
  await assert.rejects(question, /the client hung up/)
})

test('what does not match its contract is never sent, and never believed', async (t) => {
  const { bus } = await platform(t)
  const directory = await bus('directory')
  const router = await bus('router')
  await directory.answer(resolveAddresses, async () => JSON.parse('{"resolutions": "none"}'))
  await assert.rejects(router.request(resolveAddresses, { addresses: [] }), { name: 'ZodError' })
  await assert.rejects(router.request(resolveAddresses, ask), BusUnavailable)
})

test('a party that may not ask finds out before its time is up', async (t) => {
  const { bus } = await platform(t)
  const router = await bus('router')
  const started = performance.now()
  await assert.rejects(router.request(where, { queueId: queueIdOf(1) }, { timeoutMs: 60_000 }), /may not ask/)
  assert.ok(performance.now() - started < 30_000)
})

test('a service that stops finishes what it was asked, and the next question goes to another', async (t) => {
  const { bus } = await platform(t)
  const [leaving, staying, router] = await Promise.all([bus('directory'), bus('directory'), bus('router')])
  const begun = Promise.withResolvers<void>()
  const answer = await leaving.answer(resolveAddresses, async () => {
    begun.resolve()
    await delay(100)
    return { ...answered, revision: 2 }
  })
  const question = router.request(resolveAddresses, ask)
  await begun.promise
  await staying.answer(resolveAddresses, async () => answered)
  await answer.stop()
  assert.equal((await question).revision, 2)
  assert.equal((await router.request(resolveAddresses, ask)).revision, 1)
})
