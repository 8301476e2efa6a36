/** The whole service at its first start: an empty bus, an empty database, a real spool. */
import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'

import { connectBus, type ConnectedBus, RequestRefused, statusWriter } from '@postbus/bus'
import { MailAccepted, type Party, where } from '@postbus/contracts'
import { NoSuchRecord, openSpoolReader, openSpoolWriter } from '@postbus/spool'
import { startNatsServer } from '@postbus/testkit'
import { pino } from 'pino'
import { Registry } from 'prom-client'

import { CustodyConfig } from '../src/config.ts'
import { custodyService } from '../src/service.ts'
import { acceptedMessage, finalOf, local, queueIdOf, routedOf, statusOf } from './samples.ts'

const log = pino({ level: 'silent' })

test('an accepted record is found, republished, followed to its end and freed', { timeout: 60_000 }, async (t) => {
  const nats = await startNatsServer(t)
  const data = await mkdtemp(join(tmpdir(), 'postbus-custody-'))
  const stopping = new AbortController()
  const closes: (() => Promise<void> | void)[] = [() => rm(data, { recursive: true, force: true })]
  t.after(async () => {
    stopping.abort()
    for (const close of closes.reverse()) await close()
  })
  const bus = async (party: Party): Promise<ConnectedBus> => {
    const connected = await connectBus({ servers: nats.url, nkeySeed: nats.seeds[party], party, log })
    closes.push(() => connected.close())
    return connected
  }

  // Intake answered 250 while the bus was away: there is a record, and no event.
  const dir = join(data, 'spool')
  const one = queueIdOf(1)
  const writer = await openSpoolWriter({ dir, writerName: 'test' })
  const body = (async function* () {
    yield Buffer.from('Subject: x\r\n\r\nhello\r\n')
  })()
  const event = { ...acceptedMessage(one, ['jones@example.org']), acceptedAt: new Date().toISOString() }
  const accepted = await writer.put(one, body, (size) => MailAccepted.schema.parse({ ...event, size }))
  await writer.close()

  const seed = join(data, 'provisioner.nk')
  await writeFile(seed, nats.seeds.provisioner)
  await custodyService.start({
    config: CustodyConfig.parse({
      NATS_URL: nats.url,
      MAIL_HOSTNAME: 'mail.example.org',
      CUSTODY_PROVISIONER_NKEY_FILE: seed,
      CUSTODY_DATABASE: join(data, 'db', 'custody.sqlite'),
      SPOOL_DIR: dir,
      CUSTODY_FREE_MS: '20',
      CUSTODY_RECONCILE_MS: '50',
      CUSTODY_SCAN_MS: '50',
      CUSTODY_RECORD_AGE_MS: '1',
      CUSTODY_CHECK_GAP_MS: '200',
    }),
    ...{ log, metrics: new Registry(), bus: await bus('custody'), signal: stopping.signal },
    defer: (close) => void closes.push(close),
    readiness: () => {},
  })
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
  const reader = openSpoolReader({ dir })
  closes.push(() => reader.close())
  await assert.rejects(reader.open(one), NoSuchRecord)
})
