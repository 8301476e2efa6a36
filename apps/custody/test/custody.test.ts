/** Custody leading on a real bus; the spool is a map, because what counts here is what custody asks of it. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { test, type TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'

import { connectBus, type ConnectedBus, keepProvisioned, statusWriter } from '@postbus/bus'
import {
  actOnDead,
  CustodyChanged,
  findDeliveries,
  listDead,
  MailAccepted,
  MailLocal,
  type MailAccepted as Accepted,
  type Party,
  type QueueId,
  type Status,
  taskOf,
  entryOf,
} from '@postbus/contracts'
import { NoSuchRecord, type SpoolKeeper, type SpoolReader, type SpoolRecord, type SpoolWriter } from '@postbus/spool'
import { migrate, openSqlite, temporaryFile } from '@postbus/sql'
import { type NatsServer, startNatsServer } from '@postbus/testkit'
import { pino } from 'pino'
import { Registry } from '@postbus/metrics'

import { migrations } from '../src/adapters/storage/migrations.ts'
import { sqlBooks } from '../src/adapters/storage/sql-books.ts'
import type { Tables } from '../src/adapters/storage/tables.ts'
import { CustodyConfig } from '../src/config.ts'
import { leadWhenever } from '../src/lead.ts'
import { custodyMetrics } from '../src/metrics.ts'
import { acceptedMessage, finalOf, keyOf, local, queueIdOf, routedOf, statusOf } from './samples.ts'

const log = pino({ level: 'silent' })

/** Everything that takes minutes, in fractions of a second. */
const FAST = {
  MAIL_HOSTNAME: 'mail.example.org',
  CUSTODY_REPORT_MS: '20',
  CUSTODY_LEASE_MS: '1500',
  CUSTODY_FREE_MS: '20',
  CUSTODY_RECONCILE_MS: '50',
  CUSTODY_SCAN_MS: '50',
  CUSTODY_RECORD_AGE_MS: '1',
  CUSTODY_CHECK_GAP_MS: '200',
  CUSTODY_OVERDUE_MS: '300',
}

/** A spool that remembers what was freed. */
class MapSpool implements SpoolKeeper, Pick<SpoolReader, 'open'>, Pick<SpoolWriter, 'putIfAbsent'> {
  readonly records = new Map<QueueId, Accepted>()
  readonly freed: QueueId[] = []

  async *list(): AsyncIterable<{ accepted: Accepted; writtenAt: Date }> {
    for (const accepted of this.records.values()) yield { accepted, writtenAt: new Date(0) }
  }
  async free(queueIds: readonly QueueId[]): Promise<void> {
    for (const queueId of queueIds) if (this.records.delete(queueId)) this.freed.push(queueId)
  }
  async compact(): Promise<{ copied: number; segmentsRemoved: number }> {
    return { copied: 0, segmentsRemoved: 0 }
  }
  async sweep(): Promise<number> {
    return 0
  }
  async open(queueId: QueueId): Promise<SpoolRecord> {
    const accepted = this.records.get(queueId)
    if (!accepted) throw new NoSuchRecord(queueId)
    const bytes = Buffer.from('Subject: x\r\n\r\nhello\r\n')
    return { accepted, size: bytes.length, read: () => Readable.from([bytes]), place: null, close: async () => {} }
  }
  async putIfAbsent(
    queueId: QueueId,
    body: AsyncIterable<Uint8Array>,
    describe: (size: number) => Accepted,
  ): Promise<Accepted> {
    const accepted = this.records.get(queueId) ?? describe(Buffer.concat(await Array.fromAsync(body)).length)
    this.records.set(queueId, accepted)
    return accepted
  }
  async close(): Promise<void> {}
}

interface World {
  nats: NatsServer
  spool: MapSpool
  bus(party: Party): Promise<ConnectedBus>
  /** Another replica on the same database. Stopped by the result. */
  custody(): Promise<{ stop(): Promise<void>; leads(): Promise<boolean>; find: ReturnType<typeof sqlBooks>['find'] }>
}

async function world(t: TestContext): Promise<World> {
  const file = temporaryFile(t, join('custody.sqlite'))
  const spool = new MapSpool()
  const over = new AbortController()
  const closes: (() => Promise<void> | void)[] = []
  t.after(async () => {
    over.abort()
    for (const close of closes.reverse()) await close()
  })
  // After ours: what runs on the server stops before it does.
  const nats = await startNatsServer(t)
  const provisioner = await keepProvisioned({
    ...{ servers: nats.url, nkeySeed: nats.seeds.provisioner, shards: 1, signal: over.signal, log },
  })
  closes.push(() => provisioner.stop())

  const bus = async (party: Party): Promise<ConnectedBus> => {
    const connected = await connectBus({ servers: nats.url, nkeySeed: nats.seeds[party], party, log })
    closes.push(() => connected.close())
    return connected
  }

  return {
    ...{ nats, spool, bus },
    async custody() {
      const config = CustodyConfig.parse(FAST)
      const db = openSqlite<Tables>(file)
      closes.push(() => db.close())
      await migrate(db, migrations)
      const books = sqlBooks(db, {
        overdueMs: config.CUSTODY_OVERDUE_MS,
        gatherMs: config.CUSTODY_REPORT_GATHER_MS,
        delayMs: config.CUSTODY_DELAY_REPORT * 1000,
        historyKept: config.CUSTODY_HISTORY_STATUSES,
        now: () => Date.now(),
      })
      const stopping = new AbortController()
      const connected = await bus('custody')
      const registry = new Registry()
      const metrics = custodyMetrics(registry, books)
      const names = async () => ({ from: 'MAILER-DAEMON@example.org', reportingMta: config.MAIL_HOSTNAME })
      const record = async (queueId: QueueId) => spool.records.get(queueId) ?? null
      const options = { bus: connected, config, log, metrics, books, keeper: spool, spool, names, record }
      const leading = leadWhenever(options, stopping.signal)
      const stop = async (): Promise<void> => {
        stopping.abort()
        await leading
      }
      closes.push(stop)
      const leads = async () => /^mail_custody_leading 1$/m.test(await registry.metrics())
      return { stop, leads, find: books.find }
    },
  }
}

async function until<Value>(look: () => Promise<Value | undefined | null | false> | Value | undefined | null | false) {
  for (;;) {
    const value = await look()
    if (value) return value
    await sleep(20)
  }
}

const one = queueIdOf(1)
const accepted = { ...acceptedMessage(one, ['jones@example.org']), acceptedAt: new Date().toISOString() }
const now = () => ({ at: new Date().toISOString() })
const routed = (): Status => routedOf(accepted, [finalOf('jones', local)], now())
const delivered = (changes: object = {}): Status => statusOf(one, 'jones', 'delivered', { ...now(), ...changes })

test(
  'a message whose recipients have ended is freed, and whoever watches hears of it',
  {
    timeout: 120_000,
  },
  async (t) => {
    const { spool, bus, custody } = await world(t)
    spool.records.set(one, accepted)
    const { find } = await custody()
    const hints: string[] = []
    ;(await bus('console')).listen(CustodyChanged, ({ queueId }) => void hints.push(queueId))
    await statusWriter(await bus('router')).write([routed()])
    await until(async () => (await find(one))?.phase === 'open')
    assert.deepEqual(spool.freed, [])
    await statusWriter(await bus('mailstore')).write([delivered()])
    await until(async () => (await find(one))?.phase === 'freed')
    assert.deepEqual(spool.freed, [one])
    await until(() => hints.includes(one))
  },
)

test(
  'a broker that lost everything gets it again: routed recipients as tasks, others as accepted',
  {
    timeout: 120_000,
  },
  async (t) => {
    const { nats, spool, bus, custody } = await world(t)
    const unrouted = { ...acceptedMessage(queueIdOf(2), ['brown@example.org']), acceptedAt: new Date().toISOString() }
    spool.records.set(one, accepted)
    const { find } = await custody()
    const submission = await bus('submission')
    await submission.publish(MailAccepted, accepted)
    const router = await bus('router')
    await statusWriter(router).write([routed()])
    await router.publish(MailLocal, {
      ...taskOf(entryOf(accepted), { forwardPath: 'jones@example.org' }, finalOf('jones', local)),
      account: 'jones00000000',
    })
    await until(() => find(one))
    // Accepted, and published to a bus that is about to forget it.
    await submission.publish(MailAccepted, unrouted)
    spool.records.set(unrouted.queueId, unrouted)
    await nats.kill()
    await nats.start({ wipe: true })

    const mailstore = await bus('mailstore')
    await mailstore.answer(findDeliveries, async ({ keys }) => ({ deliveredAt: keys.map(() => null) }))
    const tasks: MailLocal[] = []
    const events: Accepted[] = []
    await mailstore.consume(MailLocal, 'mailstore', { maxInFlight: 10 }, async (task) => {
      tasks.push(task)
      await statusWriter(mailstore).write([delivered({ incarnation: task.incarnation })])
      return { kind: 'done' }
    })
    await router.consume(MailAccepted, 'router', { maxInFlight: 10 }, async (event) => {
      events.push(event)
      return { kind: 'done' }
    })
    await until(() => tasks.length > 0 && events.some(({ queueId }) => queueId === unrouted.queueId))
    assert.deepEqual([tasks[0]?.queueId, tasks[0]?.n, tasks[0]?.account], [one, keyOf('jones'), 'jones00000000'])
    assert.ok((tasks[0]?.incarnation ?? 0) >= 1)
    assert.ok((events.find(({ queueId }) => queueId === unrouted.queueId)?.incarnation ?? 0) >= 1)
    await until(async () => (await find(one))?.phase === 'freed')
    assert.equal(
      events.some(({ queueId }) => queueId === one),
      false,
      'a routed message is not routed again',
    )
  },
)

test('one replica leads; when it goes the other takes over, and no status is lost', { timeout: 120_000 }, async (t) => {
  const { spool, bus, custody } = await world(t)
  spool.records.set(one, accepted)
  const replicas = [await custody(), await custody()]
  const leaders = async () => (await Promise.all(replicas.map((replica) => replica.leads()))).filter(Boolean).length
  await until(async () => (await leaders()) === 1)
  await statusWriter(await bus('router')).write([routed()])
  await until(() => replicas[0]?.find(one))
  const [first] = await Promise.all(replicas.map(async (replica) => ((await replica.leads()) ? replica : undefined)))
  const leader = first ?? replicas[1]
  await leader?.stop()
  await statusWriter(await bus('mailstore')).write([delivered()])
  await until(async () => (await replicas[0]?.find(one))?.phase === 'freed')
  assert.equal(await leader?.leads(), false)
})

test(
  'custody away while everything ends: what it has not read is read before anything is taken for lost',
  { timeout: 120_000 },
  async (t) => {
    const { spool, bus, custody } = await world(t)
    const messages = Array.from({ length: 300 }, (_, index) => ({
      ...accepted,
      queueId: queueIdOf(index + 1),
    }))
    for (const message of messages) spool.records.set(message.queueId, message)
    const router = statusWriter(await bus('router'))
    // Long ago, so that every row is overdue at once; but nobody is there yet who could be asked about it.
    const long = { at: new Date(Date.now() - 3600_000).toISOString() }
    await router.write(messages.map((message) => routedOf(message, [finalOf('jones', local)], long)))
    const before = await custody()
    await until(async () => (await before.find(queueIdOf(messages.length)))?.phase === 'open')
    await before.stop()

    const bystander = await bus('mailstore')
    // It would say of every message that it never came, and the bus holds no task any more: both looks find nothing.
    await bystander.answer(findDeliveries, async ({ keys }) => ({ deliveredAt: keys.map(() => null) }))
    let again = 0
    await bystander.consume(MailLocal, 'mailstore', { maxInFlight: 10 }, async () => {
      again++
      return { kind: 'done' }
    })
    await statusWriter(bystander).write(
      messages.map(({ queueId }) => statusOf(queueId, 'jones', 'delivered', { ...now() })),
    )
    await custody()
    await until(() => spool.freed.length === messages.length)
    assert.equal(again, 0)
  },
)

test(
  'a task that was set aside is dead in the books, until an operator drives it once more',
  { timeout: 120_000 },
  async (t) => {
    const { spool, bus, custody } = await world(t)
    spool.records.set(one, accepted)
    const router = await bus('router')
    await router.publish(MailLocal, {
      ...taskOf(entryOf(accepted), { forwardPath: 'jones@example.org' }, finalOf('jones', local)),
      account: 'jones00000000',
    })
    const rejected = Promise.withResolvers<void>()
    const mailstore = await bus('mailstore')
    await mailstore.consume(MailLocal, 'mailstore', { maxInFlight: 10 }, async ({ incarnation }) => {
      rejected.resolve()
      if (incarnation === 0) return { kind: 'reject', reason: 'a test' }
      await statusWriter(mailstore).write([delivered({ incarnation })])
      return { kind: 'done' }
    })
    await rejected.promise
    const { find } = await custody()
    await statusWriter(router).write([routed()])
    const dead = await until(async () => {
      const status = (await find(one))?.recipients[0]?.status
      return status?.kind === 'dead' ? status : null
    })
    assert.equal(dead.stream, 'MAIL_LOCAL')
    assert.deepEqual(spool.freed, [])

    const operator = await bus('operator')
    const listed = async () => (await Array.fromAsync(operator.rows(listDead, {}))).map(({ row }) => row)
    const [letter] = await listed()
    assert.equal(letter?.forwardPath, 'jones@example.org')
    const [copy] = letter.copies
    assert.deepEqual([copy?.reason, copy?.detail], ['rejected', 'a test'])
    const act = { act: { kind: 'retry' as const }, by: 'a test', ids: [letter.id] }
    assert.deepEqual(await operator.request(actOnDead, act), { results: ['done'] })
    await until(async () => (await find(one))?.phase === 'freed')
    assert.deepEqual(await listed(), [])
    assert.deepEqual(await operator.request(actOnDead, act), { results: ['unknown'] })
  },
)
