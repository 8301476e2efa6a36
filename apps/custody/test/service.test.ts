/** The whole service at its first start: an empty bus, an empty database, a real spool. */
import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'

import { connectBus, type ConnectedBus, RequestRefused, statusWriter } from '@postbus/bus'
import {
  balanceBooks,
  countQueue,
  findMessages,
  listQueue,
  MailAccepted,
  type Party,
  recipientHistory,
  where,
} from '@postbus/contracts'
import { NoSuchRecord, openSpoolReader, openSpoolWriter } from '@postbus/spool'
import { startNatsServer, startPostgres } from '@postbus/testkit'
import { pino } from 'pino'
import { Registry } from '@postbus/metrics'

import { CustodyConfig } from '../src/config.ts'
import { custodyService } from '../src/service.ts'
import { acceptedMessage, finalOf, keyOf, local, queueIdOf, remote, routedOf, statusOf } from './samples.ts'

const log = pino({ level: 'silent' })

/** A bus, a spool, and custody once it is started. */
async function platform(t: TestContext) {
  const data = await mkdtemp(join(tmpdir(), 'postbus-custody-'))
  const stopping = new AbortController()
  const closes: (() => Promise<void> | void)[] = [() => rm(data, { recursive: true, force: true })]
  t.after(async () => {
    stopping.abort()
    for (const close of closes.reverse()) await close()
  })
  // After ours: what runs on the server stops before it does.
  const nats = await startNatsServer(t)
  const dir = join(data, 'spool')
  const bus = async (party: Party): Promise<ConnectedBus> => {
    const connected = await connectBus({ servers: nats.url, nkeySeed: nats.seeds[party], party, log })
    closes.push(() => connected.close())
    return connected
  }
  return {
    ...{ dir, closes, bus },
    /** Intake made it durable. */
    async put(event: MailAccepted, text: string): Promise<MailAccepted> {
      const writer = await openSpoolWriter(dir, { writerName: `test-${event.queueId.toLowerCase()}` })
      const body = (async function* () {
        yield Buffer.from(text)
      })()
      const accepted = await writer.put(event.queueId, body, (size) => MailAccepted.schema.parse({ ...event, size }))
      await writer.close()
      return accepted
    },
    async start(settings: Record<string, string> = {}): Promise<void> {
      const seed = join(data, 'provisioner.nk')
      await writeFile(seed, nats.seeds.provisioner)
      await custodyService.start({
        config: CustodyConfig.parse({
          NATS_URL: nats.url,
          MAIL_HOSTNAME: 'mail.example.org',
          CUSTODY_PROVISIONER_NKEY_FILE: seed,
          CUSTODY_DATABASE: join(data, 'db', 'custody.sqlite'),
          SPOOL: dir,
          CUSTODY_FREE_MS: '20',
          CUSTODY_REPORT_MS: '20',
          CUSTODY_RECONCILE_MS: '50',
          CUSTODY_SCAN_MS: '50',
          CUSTODY_RECORD_AGE_MS: '1',
          CUSTODY_CHECK_GAP_MS: '200',
          ...settings,
        }),
        ...{ log, metrics: new Registry(), bus: await bus('custody'), signal: stopping.signal },
        defer: (close) => void closes.push(close),
        readiness: () => {},
        probe: () => {},
        tracer: null,
      })
    },
  }
}

test('an accepted record is found, republished, followed to its end and freed', { timeout: 120_000 }, async (t) => {
  const { dir, closes, bus, put, start } = await platform(t)
  // Intake answered 250 while the bus was away: there is a record, and no event.
  const one = queueIdOf(1)
  const event = { ...acceptedMessage(one, ['jones@example.org']), acceptedAt: new Date().toISOString() }
  const accepted = await put(event, 'Subject: x\r\n\r\nhello\r\n')
  await start()
  const operator = await bus('operator')
  const before = await operator.request(where, { queueId: one })
  assert.deepEqual([before.originals[0]?.routed, before.recipients], [false, []])
  await assert.rejects(
    operator.request(where, { queueId: queueIdOf(9) }),
    (error) => error instanceof RequestRefused && error.code === 'noSuchMessage',
  )

  const router = await bus('router')
  const again = Promise.withResolvers<MailAccepted>()
  await router.consume(MailAccepted, 'router', { maxInFlight: 1 }, async (found) => {
    await statusWriter(router).write([routedOf(found, [finalOf('jones', local)], { incarnation: found.incarnation })])
    again.resolve(found)
    return { kind: 'done' }
  })
  assert.deepEqual(await again.promise, { ...accepted, incarnation: 1 })
  await statusWriter(await bus('mailstore')).write([statusOf(one, 'jones', 'delivered', { incarnation: 1 })])
  for (;;) {
    const { freedAt, recipients } = await operator.request(where, { queueId: one })
    if (freedAt === undefined) {
      await sleep(20)
      continue
    }
    assert.deepEqual(
      recipients.map(({ state, detail }) => [state, detail]),
      [['delivered', 'account jones00000000']],
    )
    break
  }
  const { accepted: counted, delivered, differences } = await operator.request(balanceBooks, {})
  assert.deepEqual([counted, delivered], [1, 1])
  assert.deepEqual(differences, { originals: 0, recipients: 0, merged: 0 })
  const reader = await openSpoolReader(dir)
  closes.push(() => reader.close())
  await assert.rejects(reader.open(one), NoSuchRecord)
})

test(
  'the queue, a history, a look-up and a report from elsewhere are answered over the bus',
  { timeout: 120_000 },
  async (t) => {
    const { bus, put, start } = await platform(t)
    const [one, notice] = [queueIdOf(1), queueIdOf(2)]
    const now = { at: new Date().toISOString() }
    const toAnn = { ...acceptedMessage(one, ['ann@far.test']), acceptedAt: now.at }
    const returned = await put(
      { ...acceptedMessage(notice, ['smith@example.org'], { reversePath: '' }), acceptedAt: now.at, report: true },
      [
        ...[
          'Content-Type: multipart/report; boundary=b',
          '',
          '--b',
          '',
          'no',
          '--b',
          'Content-Type: message/delivery-status',
          '',
        ],
        ...[
          'Reporting-MTA: dns; far.test',
          '',
          'Final-Recipient: rfc822; ann@example.org',
          'Action: failed',
          'Status: 5.2.1',
        ],
        ...['', '--b', 'Content-Type: text/rfc822-headers', '', `Received: by us id ${one}`, '', '--b--', ''],
      ].join('\r\n'),
    )
    await start()
    const operator = await bus('operator')
    const delivery = statusWriter(await bus('delivery'))
    const ann = finalOf('ann', remote)
    const copy = finalOf('copy', { kind: 'merged', into: ann.n })
    await statusWriter(await bus('router')).write([routedOf(toAnn, [ann, copy], now)])
    await delivery.write([
      statusOf(one, 'ann', 'deferred', { attempt: 1, ...now, nextAttemptAt: '2036-01-01T00:00:00Z' }),
    ])
    const history = await until(async () => {
      const known = await operator.request(recipientHistory, { queueId: one, n: ann.n }).catch(() => null)
      return known?.state === 'deferred' && known
    })
    assert.deepEqual(
      history.history.map(({ kind }) => kind),
      ['deferred'],
    )
    const queued = await Array.fromAsync(operator.rows(listQueue, { filter: { site: 'far.test' } }))
    assert.deepEqual(
      queued.map(({ row }) => [row.queueId, row.n, row.state, row.attempt]),
      [[one, ann.n, 'deferred', 1]],
    )
    const { sites, total } = await operator.request(countQueue, { filter: {} })
    assert.deepEqual([sites.map(({ site, deferred }) => [site, deferred]), total], [[['far.test', 1]], 1])

    await delivery.write([statusOf(one, 'ann', 'relayed', { attempt: 2, ...now })])
    await statusWriter(await bus('router')).write([routedOf(returned, [finalOf('smith', local, '')], now)])
    const later = await until(async () => (await operator.request(where, { queueId: one })).recipients[0]?.laterReports)
    assert.deepEqual(later, [
      { report: notice, at: now.at, action: 'failed', status: '5.2.1', reportingMta: 'far.test' },
    ])
    const after = await operator.request(recipientHistory, { queueId: one, n: ann.n })
    assert.deepEqual([after.state, after.history.map(({ kind }) => kind)], ['relayed', ['deferred', 'relayed']])
    assert.deepEqual(after.laterReports, later)
    const ofCopy = await operator.request(recipientHistory, { queueId: one, n: copy.n })
    assert.deepEqual(ofCopy, { ...after, forwardPath: 'copy@example.org' })
    const { messages, more } = await operator.request(findMessages, {
      messageId: '<a@example.org>',
      sender: 'SMITH@example.org',
    })
    assert.deepEqual([messages.map(({ queueId, open }) => [queueId, open]), more], [[[one, 0]], false])
    for (const [queueId, code] of [
      [one, 'noSuchRecipient'],
      [queueIdOf(9), 'noSuchMessage'],
    ] as const) {
      await assert.rejects(
        operator.request(recipientHistory, { queueId, n: keyOf('nobody') }),
        (error) => error instanceof RequestRefused && error.code === code,
      )
    }
  },
)

test(
  'PostgreSQL gone for a while: statuses wait, and are in the books when it is back',
  { timeout: 120_000 },
  async (t) => {
    const postgres = await startPostgres(t)
    const { bus, put, start } = await platform(t)
    await start({ CUSTODY_DATABASE: postgres.url, DATABASE_BUSY_TIMEOUT_MS: '1000' })
    const operator = await bus('operator')
    const router = statusWriter(await bus('router'))
    const [one, two] = [queueIdOf(1), queueIdOf(2)]
    const route = async (queueId: typeof one): Promise<void> => {
      const event = { ...acceptedMessage(queueId, ['ann@far.test']), acceptedAt: new Date().toISOString() }
      const accepted = await put(event, 'Subject: x\r\n\r\nhello\r\n')
      await router.write([routedOf(accepted, [finalOf('ann', remote)], { at: event.acceptedAt })])
    }
    const state = async (queueId: typeof one) =>
      (await operator.request(where, { queueId }).catch(() => null))?.recipients[0]?.state
    await route(one)
    await until(async () => (await state(one)) === 'routed')
    await postgres.stop()
    await assert.rejects(operator.request(where, { queueId: one }))
    await route(two)
    await statusWriter(await bus('delivery')).write([statusOf(one, 'ann', 'relayed', { attempt: 1 })])
    await postgres.start()
    await until(async () => (await state(one)) === 'relayed' && (await state(two)) === 'routed')
    assert.deepEqual((await operator.request(balanceBooks, {})).differences, { originals: 0, recipients: 0, merged: 0 })
  },
)

async function until<Value>(look: () => Promise<Value | undefined | null | false>): Promise<Value> {
  for (;;) {
    const value = await look()
    if (value) return value
    await sleep(20)
  }
}
