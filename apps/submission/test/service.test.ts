/** The whole service on both ports: real bus, real spool, a directory that answers from a table. */
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'

import { type Bus, connectBus, type ConnectedBus, keepProvisioned } from '@postbus/bus'
import { authenticate, checkSender, MailAccepted, type Party, resolveAddresses, spendSending } from '@postbus/contracts'
import { openSpoolReader } from '@postbus/spool'
import { playTranscript, startNatsServer, testCertificate } from '@postbus/testkit'
import pino from 'pino'
import { Registry } from '@postbus/metrics'
import type { z } from 'zod'

import { SubmissionConfig } from '../src/config.ts'
import { submissionService } from '../src/service.ts'
import { transcript } from './support.ts'

const timeout = 60_000
const log = pino({ level: 'silent' })

interface Stage {
  ports: number[]
  spoolDir: string
  ca: string
  router: Bus
}

/** jones@example.org with the password "secret" may send; "slow" is throttled; nobody@example.org does not exist. */
async function answerAsDirectory(bus: Bus): Promise<void> {
  await bus.answer(authenticate, async ({ username, password }): Promise<z.input<typeof authenticate.output>> => {
    if (username === 'slow') return { kind: 'throttled', retryAfterMs: 1000 }
    if (username !== 'jones@example.org' || password !== 'secret') return { kind: 'refused', delayMs: 1 }
    return { kind: 'accepted', account: 'a0000001', address: username, token: 'token', tokenExpiresInMs: 1000 }
  })
  await bus.answer(checkSender, async ({ addresses }) => ({
    denied: addresses.filter((address) => address.toLowerCase() !== 'jones@example.org'),
  }))
  await bus.answer(resolveAddresses, async ({ addresses }) => ({
    revision: 1,
    resolutions: addresses.map((address) =>
      address === 'nobody@example.org' ? { kind: 'unknown' as const } : { kind: 'remote' as const, domain: 'far.test' },
    ),
  }))
  await bus.answer(spendSending, async () => ({ kind: 'granted' as const }))
}

async function stage(t: TestContext): Promise<Stage> {
  const nats = await startNatsServer(t)
  const tls = await testCertificate(t)
  const spoolDir = await mkdtemp(join(tmpdir(), 'postbus-submission-'))
  const closes: (() => Promise<unknown> | unknown)[] = [() => rm(spoolDir, { recursive: true, force: true })]
  nats.defer(async () => {
    for (const close of closes.reverse()) await close()
  })
  const { signal } = new AbortController()
  const provisioner = await keepProvisioned({
    servers: nats.url,
    nkeySeed: nats.seeds.provisioner,
    shards: 1,
    log,
    signal,
  })
  closes.push(() => provisioner.stop())
  const connect = async (party: Party): Promise<ConnectedBus> => {
    const bus = await connectBus({ servers: nats.url, nkeySeed: nats.seeds[party], party, log, drainDeadlineMs: 2000 })
    closes.push(() => bus.close())
    return bus
  }
  await answerAsDirectory(await connect('directory'))

  const listening = Promise.withResolvers<number[]>()
  await submissionService.start({
    config: SubmissionConfig.parse({
      MAIL_HOSTNAME: 'example.org',
      LISTEN_HOST: '127.0.0.1',
      SUBMISSION_PORT: '0',
      SUBMISSIONS_PORT: '0',
      TLS_CERT_FILE: tls.certFile,
      TLS_KEY_FILE: tls.keyFile,
      SPOOL: spoolDir,
      SPOOL_MIN_FREE_BYTES: '0',
      DRAIN_DEADLINE_MS: '1000',
    }),
    log: pino({ level: 'info' }, { write: (line: string) => told(JSON.parse(line)) }),
    bus: await connect('submission'),
    metrics: new Registry(),
    signal,
    defer: (close) => void closes.push(close),
    readiness: () => {},
    probe: () => {},
    tracer: null,
  })
  function told(line: { msg?: string; ports?: number[] }): void {
    if (line.msg === 'listening') listening.resolve(line.ports ?? [])
  }
  return { ports: await listening.promise, spoolDir, ca: tls.ca, router: await connect('router') }
}

test(
  'a message over STARTTLS reaches spool and router with its account and what was missing',
  {
    timeout,
  },
  async (t) => {
    const { ports, ca, router, spoolDir } = await stage(t)
    const arrived = Promise.withResolvers<MailAccepted>()
    const consuming = await router.consume(MailAccepted, 'router', { maxInFlight: 1 }, async (event) => {
      arrived.resolve(event)
      return { kind: 'done' }
    })
    await playTranscript(transcript('submit'), { port: ports[0] ?? 0, tls: { ca, servername: 'localhost' } })
    const event = await arrived.promise
    await consuming.stop()
    assert.equal(event.origin, 'submission')
    assert.equal(event.account, 'a0000001')
    assert.match(event.messageId ?? '', /^<[0-9a-f-]{36}@example\.org>$/)

    const spool = await openSpoolReader(spoolDir)
    t.after(() => spool.close())
    const record = await spool.open(event.queueId)
    t.after(() => record.close())
    const text = Buffer.concat(await Array.fromAsync(record.read())).toString('utf8')
    assert.match(
      text,
      /^Received: from client\.test [^]*?with ESMTPSA[^]*?\r\nDate: .*\r\nMessage-ID: <.*>\r\nFrom: Jones /,
    )
  },
)

test('senders are checked on the implicit TLS port too', { timeout }, async (t) => {
  const { ports, ca } = await stage(t)
  await playTranscript(transcript('senders'), {
    port: ports[1] ?? 0,
    implicitTls: true,
    tls: { ca, servername: 'localhost' },
  })
})
