import assert from 'node:assert/strict'
import { test } from 'node:test'

import { DirectoryChanged, MailAccepted, MailboxChanged } from '@postbus/contracts'
import { Registry } from '@postbus/metrics'
import { currentTrace, inTrace } from '@postbus/tracing'

import { accepted, platform, queueIdOf, until } from './harness.ts'

test('a hint reaches those who listen, narrowed by its tokens', async (t) => {
  const { bus } = await platform(t)
  const [mailstore, imap] = await Promise.all([bus('mailstore'), bus('imap')])
  const all: string[] = []
  const one: string[] = []
  imap.listen(MailboxChanged, ({ account }) => void all.push(account))
  const narrow = imap.listen(MailboxChanged, ({ account }) => void one.push(account), { account: 'account2' })
  const hint = (account: string) => mailstore.hint(MailboxChanged, { account, mailboxes: [] })
  await until(() => {
    hint('account1')
    hint('account2')
    return all.length > 1
  })
  await until(() => one.length > 0)
  assert.deepEqual(new Set(one), new Set(['account2']))
  await narrow.stop()
})

test('a listener whose handler throws, and one that gets nonsense, go on', async (t) => {
  const { bus } = await platform(t)
  const [directory, router] = await Promise.all([bus('directory'), bus('router')])
  const seen: number[] = []
  router.listen(DirectoryChanged, ({ revision }) => {
    seen.push(revision)
    throw new Error('a bug')
  })
  let revision = 0
  await until(() => {
    directory.hint(DirectoryChanged, { revision: ++revision })
    return seen.length > 2
  })
})

test('after a reconnect everybody who asked to know is told, and questions work again', async (t) => {
  const { nats, bus } = await platform(t)
  const router = await bus('router')
  let told = 0
  const stop = router.onReconnect(() => told++)
  await nats.kill()
  await until(() => !router.connected)
  await nats.start()
  await until(() => router.connected && told === 1)
  await stop.stop()
  await nats.kill()
  await nats.start()
  await until(() => router.connected)
  assert.equal(told, 1)
})

test('a handler runs in the trace of the publisher, with the queue id on its log lines', async (t) => {
  const { bus } = await platform(t)
  const [submission, router] = await Promise.all([bus('submission'), bus('router')])
  const handled = Promise.withResolvers<{ traceId: string | undefined; bindings: Record<string, unknown> }>()
  await router.consume(MailAccepted, 'router', { maxInFlight: 1 }, async (_event, { log }) => {
    await new Promise((resolve) => setImmediate(resolve))
    handled.resolve({ traceId: currentTrace()?.traceId, bindings: log.bindings() })
    return { kind: 'done' }
  })
  const traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'
  await inTrace(traceparent, () => submission.publish(MailAccepted, accepted(5)))
  const { traceId, bindings } = await handled.promise
  assert.equal(traceId, '4bf92f3577b34da6a3ce929d0e0e4736')
  assert.equal(bindings['queueId'], queueIdOf(5))
  assert.equal(bindings['event'], 'mail.accepted')
})

test('publications, handlers and their outcomes are counted', async (t) => {
  const { bus } = await platform(t)
  const metrics = new Registry()
  const consumed = new Registry()
  const [submission, router] = await Promise.all([bus('submission', { metrics }), bus('router', { metrics: consumed })])
  let done = 0
  await router.consume(MailAccepted, 'router', { maxInFlight: 4 }, async () => {
    done++
    return { kind: 'done' }
  })
  for (let n = 0; n < 3; n++) await submission.publish(MailAccepted, accepted(n))
  await until(() => done === 3)
  const text = await metrics.metrics()
  assert.match(text, /mail_bus_publish_seconds_count\{event="mail.accepted",outcome="confirmed"\} 3/)
  // Counted when the last one was settled, which is after its handler ended.
  const settled = /mail_bus_handle_seconds_count\{event="mail.accepted",outcome="done"\} 3/
  await until(async () => settled.test(await consumed.metrics()))
  const handled = await consumed.metrics()
  assert.match(handled, /mail_bus_wait_seconds_count\{event="mail.accepted"\} 3/)
  // There before anything went wrong.
  assert.match(handled, /mail_bus_dead_total\{event="mail.accepted",reason="contract"\} 0/)
})

test('the backlog of a consumer is what the server says at the moment somebody looks', async (t) => {
  const { bus } = await platform(t)
  const metrics = new Registry()
  const [submission, router] = await Promise.all([bus('submission'), bus('router', { metrics })])
  for (let n = 0; n < 3; n++) await submission.publish(MailAccepted, accepted(n))
  const gate = Promise.withResolvers<void>()
  const inHand = Promise.withResolvers<void>()
  const consuming = await router.consume(MailAccepted, 'router', { maxInFlight: 1 }, async () => {
    inHand.resolve()
    await gate.promise
    return { kind: 'done' }
  })
  await inHand.promise
  const told = async (name: string): Promise<string | undefined> =>
    new RegExp(`^mail_bus_${name}_events\\{event="mail.accepted",consumer="router"\\} (\\d+)$`, 'm').exec(
      await metrics.metrics(),
    )?.[1]
  // The server counts beside its confirmations.
  await until(async () => (await told('pending')) === '2' && (await told('unacknowledged')) === '1')
  gate.resolve()
  await until(async () => (await told('pending')) === '0' && (await told('unacknowledged')) === '0')
  await consuming.stop()
  assert.equal(await told('pending'), undefined)
})
