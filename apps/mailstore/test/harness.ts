/** The mailstore between a real bus, a real spool and real blobs; the directory, the router and the front ends are played here. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'

import { localBlobs } from '@postbus/blobs'
import { type ConnectedBus, connectBus, keepProvisioned, RequestRefused } from '@postbus/bus'
import {
  AccountId,
  describeAccount,
  MailAccepted,
  MailLocal,
  MailStatus,
  type Party,
  QueueId,
  type Status,
  tokenKeys,
} from '@postbus/contracts'
import { openSpoolWriter, type SpoolWriter } from '@postbus/spool'
import { type NatsServer, startNatsServer } from '@postbus/testkit'
import { exportJWK, generateKeyPair, SignJWT } from 'jose'
import { type Logger, pino } from 'pino'
import { Registry } from '@postbus/metrics'

import { MailstoreConfig } from '../src/config.ts'
import { mailstoreService } from '../src/service.ts'

export const log: Logger = pino({ level: process.env['POSTBUS_TEST_LOG'] ?? 'silent' })
export const smith = AccountId.parse('smith000')
export const jones = AccountId.parse('jones000')

export interface Around {
  nats: NatsServer
  /** Done at the end of the test before anything that was there before is taken away. */
  defer(close: () => Promise<void> | void): void
  spool: SpoolWriter
  /** Settings of a mailstore here. */
  env: Record<string, string>
  bus(party: Party): Promise<ConnectedBus>
  /** Accounts the directory knows, and their quota. */
  accounts: Map<AccountId, number | null>
  /** What custody heard. */
  statuses: Status[]
  tokenOf(account: AccountId): Promise<string>
  /** Accepts a message and sends it to these accounts, as intake and router do. */
  send(text: string | Uint8Array, ...to: AccountId[]): Promise<MailLocal[]>
}

interface Options {
  ackWaitMs?: number
  /** Absent: a file. */
  database?: string
}

export async function around(t: TestContext, { ackWaitMs = 30_000, database }: Options = {}): Promise<Around> {
  const directory = mkdtempSync(join(tmpdir(), 'postbus-mailstore-'))
  const closes: (() => Promise<void> | void)[] = [
    () => rmSync(directory, { recursive: true, force: true, maxRetries: 5 }),
  ]
  t.after(async () => {
    for (const close of closes.reverse()) await close()
  })
  // After ours: what runs on the server stops before it does.
  const nats = await startNatsServer(t)
  const stopping = new AbortController()
  const provisioner = await keepProvisioned({
    ...{ servers: nats.url, nkeySeed: nats.seeds.provisioner, shards: 1, log, ackWaitMs, signal: stopping.signal },
  })
  const buses: ConnectedBus[] = []
  const bus = async (party: Party) => {
    const connected = await connectBus({
      servers: nats.url,
      nkeySeed: nats.seeds[party],
      party,
      log,
      drainDeadlineMs: 2000,
    })
    buses.push(connected)
    return connected
  }
  const spoolDir = join(directory, 'spool')
  const spool = await openSpoolWriter(spoolDir, { writerName: 'test' })
  closes.push(async () => {
    await Promise.all(buses.map((connected) => connected.close()))
    await provisioner.stop()
    await spool.close()
  })

  const accounts = new Map<AccountId, number | null>([
    [smith, null],
    [jones, null],
  ])
  const tokenOf = await directoryOn(await bus('directory'), accounts)
  const statuses: Status[] = []
  await (
    await bus('custody')
  ).consume(MailStatus, 'custody', { maxInFlight: 100 }, async (message) => {
    statuses.push(...message.statuses)
    return { kind: 'done' }
  })
  const router = await bus('router')
  const nkeyFile = join(directory, 'mailstore.nk')
  writeFileSync(nkeyFile, nats.seeds.mailstore)

  return {
    nats,
    defer: (close) => void closes.push(close),
    spool,
    bus,
    accounts,
    statuses,
    tokenOf,
    env: {
      NATS_URL: nats.url,
      NATS_NKEY_FILE: nkeyFile,
      HEALTH_PORT: '0',
      LOG_LEVEL: process.env['POSTBUS_TEST_LOG'] ?? 'fatal',
      MAILSTORE_DATABASE: database ?? join(directory, 'db', 'mailstore.sqlite'),
      SPOOL: spoolDir,
      BLOBS: join(directory, 'blobs'),
    },
    async send(text, ...to) {
      const tasks = await accept(spool, text, to)
      await Promise.all(tasks.map((task) => router.publish(MailLocal, task)))
      return tasks
    },
  }
}

async function directoryOn(bus: ConnectedBus, accounts: Around['accounts']): Promise<Around['tokenOf']> {
  const { privateKey, publicKey } = await generateKeyPair('Ed25519')
  const key = { ...(await exportJWK(publicKey)), kid: 'test', alg: 'EdDSA' }
  await bus.answer(tokenKeys, async () => ({ keys: [key] }))
  await bus.answer(describeAccount, async ({ account }) => {
    const quotaBytes = accounts.get(account)
    if (quotaBytes === undefined) throw new RequestRefused('noSuchAccount', 'nobody')
    return { account, address: `${account}@example.org`, quotaBytes, enabled: true }
  })
  return (account) =>
    new SignJWT({})
      .setProtectedHeader({ alg: 'EdDSA', kid: 'test' })
      .setIssuer('postbus-directory')
      .setAudience('mailstore')
      .setSubject(account)
      .setIssuedAt()
      .setExpirationTime('10 minutes')
      .sign(privateKey)
}

const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ'

function newQueueId(): QueueId {
  let time = Date.now()
  let text = Array.from({ length: 16 }, () => ALPHABET[Math.floor(Math.random() * 32)]).join('')
  for (let digit = 0; digit < 10; digit++, time = Math.floor(time / 32)) text = `${ALPHABET[time % 32]}${text}`
  return QueueId.parse(text)
}

/** A durable record, and a task for each account. */
export async function accept(spool: SpoolWriter, text: string | Uint8Array, to: AccountId[]): Promise<MailLocal[]> {
  const queueId = newQueueId()
  const bytes = typeof text === 'string' ? Buffer.from(text, 'latin1') : text
  const body = async function* () {
    // Of their own: the writer may keep what it is given.
    yield Buffer.from(bytes)
  }
  const recipients = to.map((account) => ({ forwardPath: `${account}@example.org` }))
  const accepted = await spool.put(queueId, body(), (size) =>
    MailAccepted.schema.parse({
      queueId,
      size,
      incarnation: 0,
      acceptedAt: new Date().toISOString(),
      origin: 'inbound',
      smtputf8: false,
      requireTls: false,
      envelope: { reversePath: 'ann@example.net', recipients },
    }),
  )
  return to.map((account, index) =>
    MailLocal.schema.parse({
      ...accepted,
      account,
      n: index.toString(16).padStart(16, '0'),
      reversePath: accepted.envelope.reversePath,
      original: recipients[index],
      forwardPath: `${account}@example.org`,
    }),
  )
}

/** Started in this process; stopped with the test. */
export async function startMailstore({ env, bus, defer }: Around): Promise<void> {
  const config = MailstoreConfig.parse(env)
  const connected = await bus('mailstore')
  const stopping = new AbortController()
  const closes: (() => Promise<void> | void)[] = []
  defer(async () => {
    stopping.abort()
    for (const close of closes.reverse()) await close()
  })
  await mailstoreService.start({
    config,
    log,
    bus: connected,
    metrics: new Registry(),
    defer: (close) => void closes.push(close),
    readiness: () => {},
    probe: () => {},
    tracer: null,
    signal: stopping.signal,
  })
}

export const blobsOf = ({ env }: Around) => localBlobs(env['BLOBS'] ?? '')

/** Waits for a fact. */
export async function until(holds: () => boolean | Promise<boolean>, withinMs = 60_000): Promise<void> {
  const deadline = Date.now() + withinMs
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error(`not within ${withinMs} ms: ${holds}`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}
