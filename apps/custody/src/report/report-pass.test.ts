import assert from 'node:assert/strict'
import { test } from 'node:test'

import { findDeliveryStatus, parseDeliveryStatus } from '@postbus/dsn'
import { parseStructureOf } from '@postbus/message'
import fc from 'fast-check'

import { type Death, reportWorld } from '../../test/report-world.ts'
import {
  acceptedMessage,
  finalOf,
  keyOf,
  local,
  queueIdOf,
  remote,
  routedOf,
  statusOf,
  time,
} from '../../test/samples.ts'

const one = queueIdOf(1)
const message = (queueId = one, changes: object = {}) =>
  acceptedMessage(queueId, ['green@example.org', 'jones@example.org'], changes)

/** The recipients a report names, by final recipient. */
function told(report: Buffer): Map<string | undefined, string | undefined> {
  const part = findDeliveryStatus(parseStructureOf(report)) ?? assert.fail(report.toString())
  const status = parseDeliveryStatus(report.subarray(part.body.start, part.body.end)) ?? assert.fail()
  return new Map(status.recipients.map(({ finalRecipient, action }) => [finalRecipient?.value, action]))
}

test('one bad recipient of two: one report about it, and both records go when both are done', async (t) => {
  const world = await reportWorld(t)
  await world.accept(message(), ['green', 'jones'])
  await world.record([statusOf(one, 'green', 'failed'), statusOf(one, 'jones', 'delivered')])
  assert.equal((await world.books.find(one))?.phase, 'reportDue')
  assert.equal(await world.free(), 0)
  assert.ok(await world.live())

  const [event, ...others] = world.published
  assert.ok(event)
  assert.deepEqual(others, [])
  assert.deepEqual(event.envelope, {
    reversePath: '',
    recipients: [{ forwardPath: 'smith@example.org', notify: ['NEVER'] }],
    ...{ body: undefined, smtputf8: false, requireTls: false },
  })
  const report = await world.read(event.queueId)
  assert.equal(event.size, report.length)
  assert.deepEqual([...told(report)], [['green@example.org', 'failed']])
  assert.match(report.toString(), /^Auto-Submitted: auto-replied\r$/m)
  assert.match(report.toString(), /^Message-ID: <[0-9A-Z]{26}@mail\.example\.org>\r$/m)
  assert.match(report.toString(), /\r\nSubject: x\r\n\r\nhello\r\n/)
  const page = await world.books.find(one)
  assert.equal(page?.phase, 'settled')
  assert.equal(page.recipients.find(({ status }) => status?.kind === 'failed')?.report, event.queueId)
  assert.equal((await world.books.find(event.queueId))?.phase, 'open')
  await world.deliver()
  assert.equal(await world.free(), 2)
  assert.ok(await world.live())
  assert.equal(world.published.length, 1)
})

test('failures that come together share a report; a later one makes a further report of its own', async (t) => {
  const world = await reportWorld(t)
  const names = ['a', 'b', 'c', 'd']
  await world.accept(
    acceptedMessage(
      one,
      names.map((name) => `${name}@example.org`),
    ),
    names,
  )
  await world.record([statusOf(one, 'a', 'failed')])
  world.clock.minutes += 1
  await world.record([statusOf(one, 'b', 'expired')])
  await world.live()
  assert.equal(world.published.length, 0, 'the first waits for others')
  world.clock.minutes += 1
  await world.live()
  await world.record([statusOf(one, 'c', 'failed'), statusOf(one, 'd', 'delivered')])
  await world.live()
  const reports = await Promise.all(world.published.map(({ queueId }) => world.read(queueId)))
  assert.deepEqual(
    reports.map((report) => [...told(report).keys()].toSorted()),
    [['a@example.org', 'b@example.org'], ['c@example.org']],
  )
})

test('the sender and the owner of a list hear of their own, each only what they asked for', async (t) => {
  const world = await reportWorld(t)
  const accepted = message(one, { envid: 'E1', ret: 'HDRS' })
  await world.record([
    routedOf(accepted, [finalOf('green', remote)], { original: 0 }),
    routedOf(accepted, [finalOf('member', remote, 'list-owner@example.org')], { original: 1 }),
  ])
  await world.spoolWriter.put(one, bytes('Subject: x\r\n\r\nsecret\r\n'), () => accepted)
  await world.record([statusOf(one, 'green', 'failed'), statusOf(one, 'member', 'failed')])
  await world.live()
  const byRecipient = new Map(
    world.published.map((event) => [event.envelope.recipients[0]?.forwardPath, event.queueId]),
  )
  assert.equal(byRecipient.size, 2)
  const [toSender, toOwner] = await Promise.all(
    ['smith@example.org', 'list-owner@example.org'].map((path) =>
      world.read(byRecipient.get(path) ?? assert.fail(path)),
    ),
  )
  assert.match(String(toSender), /Original-Envelope-Id: E1/)
  assert.doesNotMatch(String(toSender), /secret/)
  assert.doesNotMatch(String(toOwner), /Original-Envelope-Id/)
  assert.match(String(toOwner), /secret/)
})

test('a delay is told of once, at its time, and does not stand in for the failure', async (t) => {
  const world = await reportWorld(t)
  const accepted = acceptedMessage(one, ['ann@far.test'])
  await world.spoolWriter.put(one, bytes('Subject: x\r\n\r\nhello\r\n'), () => accepted)
  await world.record([routedOf(accepted, [finalOf('ann', remote)])])
  const deferred = (attempt: number) => statusOf(one, 'ann', 'deferred', { attempt, at: time(10 + attempt) })
  await world.record([deferred(1)])
  world.clock.minutes = 59
  await world.live()
  assert.equal(world.published.length, 0)
  world.clock.minutes = 60
  await world.live()
  await world.record([deferred(2)])
  world.clock.minutes = 200
  await world.live()
  assert.equal(world.published.length, 1)
  const delay = await world.read(world.published[0]?.queueId ?? one)
  assert.deepEqual([...told(delay).values()], ['delayed'])
  assert.match(delay.toString(), /^Will-Retry-Until: /m)
  await world.record([statusOf(one, 'ann', 'expired', { attempt: 3 })])
  await world.live()
  assert.deepEqual([...told(await world.read(world.published[1]?.queueId ?? one)).values()], ['failed'])
})

test('success is told of when it was asked for', async (t) => {
  const world = await reportWorld(t)
  const recipients = ['green', 'jones'].map((name) => ({ forwardPath: `${name}@example.org`, notify: ['SUCCESS'] }))
  await world.accept(message(one, { recipients }), ['green', 'jones'])
  await world.record([
    statusOf(one, 'green', 'relayed', { attempt: 1, dsn: false }),
    statusOf(one, 'jones', 'delivered'),
  ])
  await world.live()
  assert.equal(world.published.length, 1)
  const report = await world.read(world.published[0]?.queueId ?? one)
  assert.deepEqual([...told(report)].toSorted(), [
    ['green@example.org', 'relayed'],
    ['jones@example.org', 'delivered'],
  ])
  assert.doesNotMatch(report.toString(), /hello/, 'the body goes back with failures only')
})

test('a message that cannot be read any more is reported on without it', async (t) => {
  const world = await reportWorld(t)
  await world.record([routedOf(message(), [finalOf('green', remote)]), statusOf(one, 'green', 'failed')])
  await world.record([routedOf(message(), [], { original: 1 })])
  await world.live()
  assert.deepEqual(world.unreadable, [one])
  assert.deepEqual([...told(await world.read(world.published[0]?.queueId ?? one))], [['green@example.org', 'failed']])
})

test('what the sender asked for is not known yet: the news waits for it', async (t) => {
  const world = await reportWorld(t)
  const recipients = ['green', 'jones'].map((name) => ({ forwardPath: `${name}@example.org`, notify: ['NEVER'] }))
  const accepted = message(one, { recipients })
  await world.record([
    routedOf(accepted, [finalOf('jones', remote)], { original: 1 }),
    statusOf(one, 'jones', 'failed'),
  ])
  world.clock.minutes += 5
  assert.ok(await world.live())
  await world.record([routedOf(accepted, [finalOf('green', remote)]), statusOf(one, 'green', 'delivered')])
  assert.ok(await world.live())
  assert.equal((await world.books.find(one))?.phase, 'settled')
  assert.deepEqual(world.published, [])
})

test('wherever custody dies, and however often: exactly one report, always with the same octets', async (t) => {
  const world = await reportWorld(t)
  let number = 10
  const step = fc.record({
    step: fc.nat({ max: 12 }),
    after: fc.boolean(),
    delivered: fc.boolean(),
    frees: fc.boolean(),
  })
  async function lives(deaths: (Death & { delivered: boolean; frees: boolean })[]): Promise<void> {
    const queueId = queueIdOf(number++)
    world.published.length = 0
    await world.accept(message(queueId), ['green', 'jones'])
    await world.record([statusOf(queueId, 'green', 'failed'), statusOf(queueId, 'jones', 'failed')])
    let octets: Buffer | undefined
    let routed = Infinity
    for (const { delivered, frees, ...death } of deaths) {
      await world.live(death)
      const [report] = world.reports()
      if (report !== undefined) octets ??= await world.read(report)
      if (delivered) await world.deliver()
      if (delivered && world.published.length > 0) routed = Math.min(routed, world.published.length)
      if (frees) await world.free()
    }
    assert.ok(await world.live())
    assert.deepEqual(world.failures, [])
    const [report, ...others] = world.reports()
    assert.ok(report)
    assert.deepEqual(others, [])
    assert.ok(world.published.length <= routed, 'once it was routed it is not published again')
    const page = await world.books.find(queueId)
    assert.deepEqual(
      page?.recipients.map((recipient) => recipient.report),
      [report, report],
    )
    const known = (await world.books.find(report))?.phase
    if (known !== 'freed') {
      const last = await world.read(report)
      assert.equal(told(last).size, 2)
      assert.ok(octets === undefined || octets.equals(last))
    }
    const published = world.published.length
    await world.deliver()
    await world.free()
    assert.equal((await world.books.find(queueId))?.phase, 'freed')
    assert.equal((await world.books.find(report))?.phase, 'freed')
    assert.ok(await world.live())
    assert.equal(world.published.length, published)
    const left = await Array.fromAsync(world.keeper.list())
    assert.deepEqual(
      left.filter(({ accepted }) => [queueId, report].includes(accepted.queueId)),
      [],
    )
  }
  // Every step of a life, before and after it, once each; then several deaths in a row.
  for (let at = 0; at < 12; at++) {
    for (const after of [false, true]) await lives([{ step: at, after, delivered: after, frees: true }])
  }
  await fc.assert(fc.asyncProperty(fc.array(step, { maxLength: 5 }), lives), { numRuns: 40 })
})

async function* bytes(text: string): AsyncGenerator<Buffer> {
  yield Buffer.from(text)
}

const SUCCESS = { notify: ['SUCCESS' as const] }
const asked = (...forwardPaths: string[]) =>
  acceptedMessage(one, [], {
    recipients: forwardPaths.map((forwardPath) => ({ forwardPath, orcpt: `rfc822;${forwardPath}`, ...SUCCESS })),
  })

test('an alias with several recipients is told of once, as expanded, and none of them as delivered', async (t) => {
  const world = await reportWorld(t)
  const accepted = asked('info@example.org')
  await world.spoolWriter.put(one, bytes('Subject: x\r\n\r\nhello\r\n'), () => accepted)
  const members = ['green', 'ann'].map((name) => ({
    ...finalOf(name, name === 'ann' ? remote : local),
    expanded: true,
  }))
  await world.record([
    routedOf(accepted, members.slice(0, 1), { page: 1, pages: 2 }),
    statusOf(one, 'green', 'delivered'),
    statusOf(one, 'ann', 'relayed', { attempt: 1 }),
  ])
  world.clock.minutes = 15
  await world.live()
  assert.equal(world.published.length, 0, 'it is not known yet what it stands for')
  await world.record([routedOf(accepted, members.slice(1), { page: 2, pages: 2 })])
  await world.live()
  await world.live()
  assert.equal(world.published.length, 1)
  const [event] = world.published
  assert.ok(event)
  const report = String(await world.read(event.queueId))
  assert.deepEqual([...told(Buffer.from(report))], [['info@example.org', 'expanded']])
  assert.match(report, /^Original-Recipient: rfc822;info@example\.org\r$/m)
  // Who is behind an alias is nothing to the sender.
  assert.doesNotMatch(report, /ann@|green@/)
  assert.equal((await world.books.find(one))?.originals[0]?.report, event.queueId)
  assert.equal((await world.books.find(one))?.phase, 'settled')
})

test('an alias with one recipient is told of as that recipient, and by nothing of its own', async (t) => {
  const world = await reportWorld(t)
  await world.accept(asked('info@example.org'), ['green'])
  await world.record([statusOf(one, 'green', 'delivered')])
  await world.live()
  const [event, ...others] = world.published
  assert.ok(event)
  assert.deepEqual(others, [])
  assert.deepEqual([...told(await world.read(event.queueId))], [['green@example.org', 'delivered']])
  assert.equal((await world.books.find(one))?.originals[0]?.report, null)
})

test('to the author, mail to a list is delivered when the list has it; its owner hears of the members', async (t) => {
  const world = await reportWorld(t)
  const accepted = asked('list@example.org')
  await world.spoolWriter.put(one, bytes('Subject: x\r\n\r\nhello\r\n'), () => accepted)
  await world.record([
    routedOf(
      accepted,
      ['green', 'ann'].map((name) => finalOf(name, remote, 'list-owner@example.org')),
    ),
    statusOf(one, 'green', 'failed', { attempt: 1 }),
    statusOf(one, 'ann', 'relayed', { attempt: 1 }),
  ])
  await world.live()
  const reports = await Promise.all(
    world.published.map(async ({ queueId, envelope }) => [
      envelope.recipients[0]?.forwardPath,
      ...told(await world.read(queueId)),
    ]),
  )
  assert.deepEqual(
    reports.toSorted(([one = ''], [other = '']) => (one < other ? -1 : 1)),
    [
      ['list-owner@example.org', ['green@example.org', 'failed']],
      ['smith@example.org', ['list@example.org', 'delivered']],
    ],
  )
})

test('the expansion is told to nobody who did not ask, and never of mail from the null reverse-path', async (t) => {
  const world = await reportWorld(t)
  const expanded = ['green', 'ann'].map((name) => ({ ...finalOf(name, local), expanded: true }))
  const cases = [
    acceptedMessage(queueIdOf(1), ['info@example.org']),
    acceptedMessage(queueIdOf(2), [], {
      recipients: [{ forwardPath: 'info@example.org', notify: ['FAILURE', 'DELAY'] }],
    }),
    acceptedMessage(queueIdOf(3), [], {
      reversePath: '',
      recipients: [{ forwardPath: 'info@example.org', notify: ['SUCCESS'] }],
    }),
  ]
  for (const accepted of cases) {
    const { reversePath } = accepted.envelope
    await world.record([
      routedOf(
        accepted,
        expanded.map((final) => ({ ...final, reversePath })),
      ),
      statusOf(accepted.queueId, 'green', 'delivered'),
      statusOf(accepted.queueId, 'ann', 'delivered'),
    ])
  }
  await world.live()
  assert.equal(world.published.length, 0)
  for (const { queueId } of cases) assert.equal((await world.books.find(queueId))?.phase, 'settled')
})

test('every original recipient is told of, also one that was merged into another, whichever is known first', async (t) => {
  const accepted = acceptedMessage(one, ['green@example.org', 'verde@example.org', 'silent@example.org'], {
    recipients: [
      { forwardPath: 'green@example.org', notify: ['NEVER'] },
      { forwardPath: 'verde@example.org', orcpt: 'rfc822;verde@example.org', notify: ['FAILURE', 'DELAY'] },
      { forwardPath: 'silent@example.org', notify: ['SUCCESS'] },
    ],
  })
  const merged = { kind: 'merged' as const, into: keyOf('green') }
  const steps = [
    routedOf(accepted, [finalOf('green', remote)], { original: 0 }),
    routedOf(accepted, [finalOf('verde', merged)], { original: 1 }),
    routedOf(accepted, [finalOf('silent', merged)], { original: 2 }),
    statusOf(one, 'green', 'failed', { attempt: 2, at: time(9), mxHost: 'mx.far.test' }),
  ]
  for (const order of [steps, steps.toReversed()]) {
    const world = await reportWorld(t)
    await world.spoolWriter.put(one, bytes('Subject: x\r\n\r\nhello\r\n'), () => accepted)
    for (const step of order) await world.record([step])
    await world.live()
    await world.live()
    const [event, ...others] = world.published
    assert.ok(event)
    assert.deepEqual(others, [])
    const report = await world.read(event.queueId)
    assert.deepEqual([...told(report)], [['verde@example.org', 'failed']])
    assert.match(String(report), /^Original-Recipient: rfc822;verde@example\.org\r$/m)
    assert.equal((await world.books.find(one))?.phase, 'settled')
  }
})

test('what the next server was not told to report of a merged recipient is reported here', async (t) => {
  const world = await reportWorld(t)
  const accepted = asked('green@example.org', 'verde@example.org')
  await world.spoolWriter.put(one, bytes('Subject: x\r\n\r\nhello\r\n'), () => accepted)
  await world.record([
    routedOf(accepted, [finalOf('green', remote)], { original: 0 }),
    routedOf(accepted, [finalOf('verde', { kind: 'merged', into: keyOf('green') })], { original: 1 }),
    statusOf(one, 'green', 'relayed', { attempt: 1, dsn: true }),
  ])
  await world.live()
  const [event] = world.published
  assert.ok(event)
  assert.deepEqual([...told(await world.read(event.queueId))], [['verde@example.org', 'relayed']])
})

test('a delay names its last attempt and until when it is tried, to whoever did not say no to delays', async (t) => {
  const world = await reportWorld(t)
  const accepted = acceptedMessage(one, ['ann@far.test', 'bob@far.test'], {
    recipients: [{ forwardPath: 'ann@far.test' }, { forwardPath: 'bob@far.test', notify: ['FAILURE'] }],
  })
  await world.spoolWriter.put(one, bytes('Subject: x\r\n\r\nhello\r\n'), () => accepted)
  await world.record(
    ['ann', 'bob'].flatMap((name, original) => [
      routedOf(accepted, [finalOf(name, remote)], { original }),
      statusOf(one, name, 'deferred', { attempt: 2, at: time(50) }),
    ]),
  )
  world.clock.minutes = 60
  await world.live()
  const [event] = world.published
  assert.ok(event)
  const report = await world.read(event.queueId)
  const part = findDeliveryStatus(parseStructureOf(report)) ?? assert.fail()
  const status = parseDeliveryStatus(report.subarray(part.body.start, part.body.end))
  assert.deepEqual(
    status?.recipients.map(({ finalRecipient, lastAttemptAt, willRetryUntil }) => [
      ...[finalRecipient?.value, lastAttemptAt?.toISOString(), willRetryUntil?.toISOString()],
    ]),
    [['ann@example.org', time(50), time(60 * 24 * 5)]],
  )
})

test('what an operator cancels with a report is told as a failure, without an attempt nobody made', async (t) => {
  const world = await reportWorld(t)
  await world.accept(message(), ['green', 'jones'])
  const cancelled = { attempt: 3, rule: 'operator', status: '5.7.0', reason: 'The postmaster cancelled it.' }
  await world.record([statusOf(one, 'green', 'failed', cancelled), statusOf(one, 'jones', 'delivered')])
  await world.live()
  const [event] = world.published
  assert.ok(event)
  const report = String(await world.read(event.queueId))
  assert.match(report, /The postmaster cancelled it\./)
  assert.doesNotMatch(report, /Last-Attempt-Date/)
})
