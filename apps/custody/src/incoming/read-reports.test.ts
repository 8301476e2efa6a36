import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'

import type { LaterReport, MailAccepted, QueueId, Status } from '@postbus/contracts'

import { reportWorld } from '../../test/report-world.ts'
import {
  acceptedMessage,
  finalOf,
  keyOf,
  local,
  queueIdOf,
  remoteAt,
  routedOf,
  statusOf,
  time,
} from '../../test/samples.ts'
import { type ReadOutcome, readReports } from './read-reports.ts'

const one = queueIdOf(1)
const notice = queueIdOf(50)

interface Said {
  recipient?: string[]
  returned?: string[]
  envid?: string
}

function reportText({
  recipient = ['Final-Recipient: rfc822; ann@far.test', 'Action: failed', 'Status: 5.1.1'],
  returned = ['Message-ID: <a@example.org>'],
  envid,
}: Said = {}): string {
  return [
    ...[
      'Content-Type: multipart/report; report-type=delivery-status; boundary=b',
      '',
      '--b',
      '',
      'It did not work.',
      '',
    ],
    ...['--b', 'Content-Type: message/delivery-status', '', 'Reporting-MTA: dns; mx.far.test'],
    ...(envid === undefined ? [] : [`Original-Envelope-Id: ${envid}`]),
    ...['', ...recipient, 'Diagnostic-Code: smtp; 550 no such user', ''],
    ...['--b', 'Content-Type: text/rfc822-headers', '', ...returned, '', '--b--', ''],
  ].join('\r\n')
}

async function incomingWorld(t: TestContext) {
  const world = await reportWorld(t)
  const outcomes: [ReadOutcome, QueueId | null][] = []
  const failures: unknown[] = []
  const read = () =>
    readReports(
      {
        ...{ books: world.books, writer: world.writer(), spool: world.reader },
        read: (_, outcome, about) => void outcomes.push([outcome, about]),
        failed: (_, error) => void failures.push(error),
      },
      { page: 2, maxBytes: 100_000, laterReports: 20 },
      new AbortController().signal,
    )
  return {
    ...world,
    ...{ outcomes, failures, read },
    /** A message of ours to ann@far.test that was relayed. */
    async relayed(queueId: QueueId, changes: Partial<MailAccepted> = {}, envelope: object = {}): Promise<void> {
      const accepted = { ...acceptedMessage(queueId, ['ann@far.test'], envelope), ...changes }
      await world.record([
        routedOf(accepted, [ann(accepted.envelope.reversePath)]),
        statusOf(queueId, 'ann', 'relayed', { attempt: 1 }),
      ])
    },
    async arrives(queueId: QueueId, text: string, to = 'smith@example.org'): Promise<Status[]> {
      const accepted = { ...acceptedMessage(queueId, [to], { reversePath: '' }), report: true, acceptedAt: time(20) }
      await world.spoolWriter.put(queueId, chunks(text), () => accepted)
      const statuses = [routedOf(accepted, [finalOf('smith', local, '')]), statusOf(queueId, 'smith', 'delivered')]
      await world.record(statuses)
      return statuses
    },
    notes: async (queueId: QueueId) => (await world.books.find(queueId))?.laterReports.get(keyOf('ann')) ?? [],
  }
}

const ann = (reversePath: string) => ({
  ...finalOf('ann', remoteAt('far.test'), reversePath),
  forwardPath: 'ann@far.test',
})

async function* chunks(text: string): AsyncGenerator<Buffer> {
  yield Buffer.from(text)
}

test('a report that comes in is noted at the recipient it is about, which stays relayed; its record goes only then', async (t) => {
  const world = await incomingWorld(t)
  await world.relayed(one)
  await world.arrives(notice, reportText())
  await world.free()
  assert.equal((await world.books.find(notice))?.freedAt, null)
  await world.read()
  assert.deepEqual(world.outcomes, [['tied', one]])
  assert.deepEqual(await world.notes(one), [
    {
      ...{ report: notice, at: time(20), action: 'failed', status: '5.1.1', reason: '550 no such user' },
      reportingMta: 'mx.far.test',
    },
  ])
  assert.equal((await world.books.find(one))?.recipients[0]?.status?.kind, 'relayed')
  assert.equal(await world.free(), 1)
  await world.read()
  assert.equal(world.outcomes.length, 1)
})

test('a message handed in twice is told apart by our own id in what comes back, and by its envelope id', async (t) => {
  const world = await incomingWorld(t)
  const two = queueIdOf(2)
  await world.relayed(one, {}, { envid: 'first' })
  await world.relayed(two, { acceptedAt: time(5) }, { envid: 'second' })
  await world.arrives(
    queueIdOf(51),
    reportText({ returned: [`Received: from a by b id ${one}; today`, 'Message-ID: <a@example.org>'] }),
  )
  await world.arrives(queueIdOf(52), reportText({ envid: 'first' }))
  await world.arrives(queueIdOf(53), reportText())
  await world.read()
  assert.deepEqual(
    world.outcomes.map(([, about]) => about),
    [one, one, two],
  )
})

test('a recipient behind a next hop that forwards is known by what it was called before', async (t) => {
  const world = await incomingWorld(t)
  await world.relayed(one, {}, { recipients: [{ forwardPath: 'info@example.org', orcpt: 'rfc822;Info@Example.org' }] })
  const recipient = [
    ...['Final-Recipient: rfc822; elsewhere@other.test', 'Original-Recipient: rfc822;info@example.org'],
    ...['Action: delayed', 'Status: 4.4.1'],
  ]
  await world.arrives(notice, reportText({ recipient }))
  await world.read()
  assert.deepEqual(
    (await world.notes(one)).map(({ action }) => action),
    ['delayed'],
  )
})

test('a report about one recipient is never noted at another', async (t) => {
  const to = (name: string, reversePath?: string) => ({
    ...finalOf(name, remoteAt('far.test'), reversePath),
    forwardPath: `${name}@far.test`,
  })
  const about = (original: string, final: string, action = 'failed'): string[] => [
    ...[`Original-Recipient: rfc822;${original}`, `Final-Recipient: rfc822;${final}`],
    ...[`Action: ${action}`, action === 'failed' ? 'Status: 5.2.2' : 'Status: 2.0.0'],
  ]
  const noted = async (
    originals: string[],
    routed: [to: string, original: number][],
    recipient: string[],
    list?: string,
  ) => {
    const world = await incomingWorld(t)
    const accepted = acceptedMessage(one, originals)
    const named = originals.flatMap((_, original) => {
      const finals = routed.filter(([, of]) => of === original).map(([name]) => to(name, list))
      return [routedOf(accepted, finals, { original })]
    })
    await world.record([...named, ...routed.map(([name]) => statusOf(one, name, 'relayed', { attempt: 1 }))])
    await world.arrives(notice, reportText({ recipient }), list)
    await world.read()
    const { laterReports = new Map() } = (await world.books.find(one)) ?? {}
    return routed.flatMap(([name]) =>
      (laterReports.get(keyOf(name)) ?? []).map(({ action }: LaterReport) => `${name} ${action}`),
    )
  }
  const both: [string, number][] = [
    ['alice', 0],
    ['bob', 1],
  ]
  const originals = ['alice@far.test', 'bob@far.test']
  // Alice's mail is passed on to Bob, and fails there.
  assert.deepEqual(await noted(originals, both, about('alice@far.test', 'bob@far.test')), ['alice failed'])
  const groups = [...about('alice@far.test', 'bob@far.test'), '', ...about('bob@far.test', 'bob@far.test', 'delivered')]
  assert.deepEqual(await noted(originals, both, groups), ['alice failed', 'bob delivered'])
  // An alias for two, one of whom is passed on: nobody can tell which.
  const alias: [string, number][] = [
    ['x', 0],
    ['y', 0],
  ]
  assert.deepEqual(await noted(['team@example.org'], alias, about('team@example.org', 'z@else.test')), [])
  assert.deepEqual(await noted(['team@example.org'], alias, about('team@example.org', 'y@far.test')), ['y failed'])
  // A list never tells its name.
  const owner = 'list-owner@example.org'
  assert.deepEqual(await noted(['list@example.org'], [['x', 0]], about('list@example.org', 'z@else.test'), owner), [])
  assert.deepEqual(await noted(['list@example.org'], [['x', 0]], about('x@far.test', 'z@else.test'), owner), [
    'x failed',
  ])
})

test('a forged report changes nothing: not of another recipient, not at another address, not about local mail', async (t) => {
  const world = await incomingWorld(t)
  await world.relayed(one)
  const inHouse = queueIdOf(3)
  const accepted = { ...acceptedMessage(inHouse, ['jones@example.org']), messageId: '<local@example.org>' }
  await world.record([routedOf(accepted, [finalOf('jones', local)]), statusOf(inHouse, 'jones', 'delivered')])
  await world.arrives(
    queueIdOf(51),
    reportText({ recipient: ['Final-Recipient: rfc822; bob@far.test', 'Action: failed'] }),
  )
  await world.arrives(queueIdOf(52), reportText(), 'mallory@example.org')
  await world.arrives(
    queueIdOf(53),
    reportText({
      recipient: ['Final-Recipient: rfc822; jones@example.org', 'Action: failed'],
      returned: ['Message-ID: <local@example.org>'],
    }),
  )
  await world.arrives(queueIdOf(54), reportText({ returned: ['Message-ID: <unknown@example.org>'] }))
  await world.arrives(queueIdOf(55), 'Subject: I am no report\r\n\r\nhello\r\n')
  await world.read()
  assert.deepEqual(
    world.outcomes.map(([outcome]) => outcome),
    ['unrelated', 'unrelated', 'unrelated', 'unrelated', 'unreadable'],
  )
  assert.deepEqual(await world.notes(one), [])
  assert.equal((await world.books.find(inHouse))?.laterReports.size, 0)
})

test('a report whose record is gone or that nobody can read is done with; one that fails is tried again', async (t) => {
  const world = await incomingWorld(t)
  await world.relayed(one)
  await world.arrives(notice, reportText())
  const { open } = world.reader
  world.reader.open = () => Promise.reject(new Error('the disk is away'))
  await world.read()
  assert.deepEqual([world.outcomes.length, world.failures.length], [0, 1])
  world.reader.open = open
  const gone = queueIdOf(60)
  await world.record([
    routedOf({ ...acceptedMessage(gone, ['smith@example.org'], { reversePath: '' }), report: true }, [
      finalOf('smith', local, ''),
    ]),
  ])
  await world.read()
  assert.deepEqual(
    world.outcomes.map(([outcome]) => outcome),
    ['tied', 'unreadable'],
  )
})
