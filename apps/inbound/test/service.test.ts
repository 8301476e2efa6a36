/** The whole service: real bus, real spool, a directory that answers from a table. */
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'

import { type Bus, connectBus, type ConnectedBus, keepProvisioned, type Stoppable } from '@postbus/bus'
import { DirectoryChanged, MailAccepted, type Party, type Resolution, resolveAddresses } from '@postbus/contracts'
import { openSpoolReader } from '@postbus/spool'
import { Conversation, startNatsServer } from '@postbus/testkit'
import pino from 'pino'
import { Registry } from '@postbus/metrics'

import { InboundConfig } from '../src/config.ts'
import { inboundService } from '../src/service.ts'

const timeout = 60_000
const log = pino({ level: 'silent' })

interface Stage {
  port: number
  spoolDir: string
  registry: Registry
  directory: Bus
  router: Bus
  /** The directory stops answering. */
  silence(): Promise<void>
  /** Accounts of example.org; a change is told by a hint. */
  accounts: Set<string>
}

async function stage(t: TestContext): Promise<Stage> {
  const nats = await startNatsServer(t)
  const spoolDir = await mkdtemp(join(tmpdir(), 'postbus-inbound-'))
  const closes: (() => Promise<unknown> | unknown)[] = [() => rm(spoolDir, { recursive: true, force: true })]
  nats.defer(async () => {
    for (const close of closes.reverse()) await close()
  })
  const stopping = new AbortController()
  const provisioner = await keepProvisioned({
    servers: nats.url,
    nkeySeed: nats.seeds.provisioner,
    shards: 1,
    log,
    signal: stopping.signal,
  })
  closes.push(() => provisioner.stop())
  const connect = async (party: Party): Promise<ConnectedBus> => {
    const bus = await connectBus({ servers: nats.url, nkeySeed: nats.seeds[party], party, log, drainDeadlineMs: 2000 })
    closes.push(() => bus.close())
    return bus
  }

  const accounts = new Set(['jones@example.org'])
  const directory = await connect('directory')
  const answering: Stoppable = await directory.answer(resolveAddresses, async ({ addresses }) => ({
    revision: 1,
    resolutions: addresses.map((address): Resolution => {
      const folded = address.toLowerCase()
      if (!folded.endsWith('@example.org')) return { kind: 'remote', domain: 'far.test' }
      return accounts.has(folded) ? { kind: 'account', account: 'a0000001', address: folded } : { kind: 'unknown' }
    }),
  }))

  const registry = new Registry()
  const listening = Promise.withResolvers<number>()
  await inboundService.start({
    config: InboundConfig.parse({
      MAIL_HOSTNAME: 'example.org',
      LISTEN_HOST: '127.0.0.1',
      INBOUND_PORT: '0',
      SPOOL: spoolDir,
      SPOOL_MIN_FREE_BYTES: '0',
      DIRECTORY_CACHE_MS: '60000',
      DRAIN_DEADLINE_MS: '1000',
    }),
    log: pino({ level: 'info' }, { write: (line: string) => void told(JSON.parse(line)) }),
    bus: await connect('inbound'),
    metrics: registry,
    signal: stopping.signal,
    defer: (close) => void closes.push(close),
    readiness: () => {},
    probe: () => {},
    tracer: null,
  })
  function told(line: { msg?: string; port?: number }): void {
    if (line.msg === 'listening') listening.resolve(line.port ?? 0)
  }
  return {
    port: await listening.promise,
    spoolDir,
    registry,
    directory,
    router: await connect('router'),
    silence: () => answering.stop(),
    accounts,
  }
}

async function converse(port: number, ...lines: string[]): Promise<string[]> {
  const client = await Conversation.open({ port })
  const answers: string[] = []
  try {
    for (const line of ['', ...lines]) {
      if (line !== '') client.write(`${line}\r\n`)
      let answer = ''
      do answer = (await client.line()) ?? 'closed'
      while (answer[3] === '-')
      answers.push(answer)
    }
  } finally {
    // One client may have so many connections: who asks again and again must leave.
    await client.close()
  }
  return answers
}

const toRcpt = ['EHLO client.test', 'MAIL FROM:<smith@example.com>', 'RCPT TO:<Jones@example.org>']

test('what was answered 250 is in the spool under its queue id, and the router hears of it', { timeout }, async (t) => {
  const { port, router, spoolDir, registry } = await stage(t)
  const arrived = Promise.withResolvers<MailAccepted>()
  const consuming = await router.consume(MailAccepted, 'router', { maxInFlight: 1 }, async (event) => {
    arrived.resolve(event)
    return { kind: 'done' }
  })
  const answers = await converse(
    port,
    ...toRcpt,
    'DATA',
    'Subject: hello\r\nMessage-ID: <m@client.test>\r\n\r\nhi\r\n.',
    'QUIT',
  )
  const [, queueId = ''] =
    /^250 2\.0\.0 Ok: queued as (\w{26})$/.exec(answers[5] ?? '') ?? assert.fail(answers.join('\n'))

  const event = await arrived.promise
  await consuming.stop()
  assert.equal(event.queueId, queueId)
  assert.equal(event.origin, 'inbound')
  assert.equal(event.clientAddress, '127.0.0.1')
  assert.equal(event.messageId, '<m@client.test>')
  assert.deepEqual(event.envelope.recipients, [{ forwardPath: 'Jones@example.org' }])

  const spool = await openSpoolReader(spoolDir)
  t.after(() => spool.close())
  const record = await spool.open(event.queueId)
  t.after(() => record.close())
  const text = Buffer.concat(await Array.fromAsync(record.read())).toString('utf8')
  assert.match(text, /^Received: from client\.test \(\[127\.0\.0\.1\]\)\s+by example\.org\s+with ESMTP\s+id \w{26}/)
  assert.ok(text.endsWith('\r\nSubject: hello\r\nMessage-ID: <m@client.test>\r\n\r\nhi\r\n'))
  assert.match(await registry.metrics(), /mail_spool_flush_records_count 1\n/)
})

test(
  'a name that appears in the directory is taken at once, although its absence was remembered',
  {
    timeout,
  },
  async (t) => {
    const { port, directory, accounts } = await stage(t)
    const newcomer = [...toRcpt.slice(0, 2), 'RCPT TO:<new@example.org>']
    assert.match((await converse(port, ...newcomer)).at(-1) ?? '', /^550 5\.1\.1 /)
    accounts.add('new@example.org')
    directory.hint(DirectoryChanged, { revision: 2 })
    for (let answer = ''; !answer.startsWith('250');) answer = (await converse(port, ...newcomer)).at(-1) ?? ''
  },
)

test('without a directory recipients are told to come again', { timeout }, async (t) => {
  const { port, silence } = await stage(t)
  await silence()
  assert.match((await converse(port, ...toRcpt)).at(-1) ?? '', /^451 4\.4\.3 /)
})
