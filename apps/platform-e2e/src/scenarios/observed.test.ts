/** What an operator sees: a message's trace at a collector, lines in the logs, the state of the platform, and what it waits for. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { createHmac, randomBytes } from 'node:crypto'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'

import { serviceNames, type ServiceStatus } from '@postbus/contracts'
import { startOtlpReceiver } from '@postbus/testkit'

import { messages } from '../mailboxes.ts'
import { startOutbound } from '../outbound.ts'
import { BYTES, PROFILE, type Ready, until } from '../platform.ts'
import { addAccounts, postbus, postbusStatus } from '../postbus.ts'
import { settled } from '../reports.ts'
import { bySwaks, queueIdOf, submit } from '../sending.ts'
import { spanTree, type SpanTree } from '../span-tree.ts'

const ZONE = `
  far.test.    MX 10 mx.far.test.
  mx.far.test. A  127.0.0.2
`

/** Nowhere but in the body of a message. */
const SECRET_BODY = 'the-body-nobody-logs'

interface Status {
  ready: boolean
  missing: string[]
  services: ServiceStatus[]
  bus: { streams: { name: string }[] }
  queue: { total: number } | null
}

interface Traced {
  messages: {
    traceId: string
    freed?: unknown
    recipients: { forwardPath: string; state: string; events: { what: string; afterMs: number; tookMs?: number }[] }[]
  }[]
}

const SPOOL_IS_FILES = PROFILE === 'embedded' || BYTES === 'files'

const run = promisify(execFile)
const command = join(import.meta.dirname, '..', '..', '..', 'console', 'bin', 'postbus.mjs')

async function printed({ data }: Ready, ...args: string[]): Promise<string> {
  return (await run(process.execPath, [command, ...args, '--data', data])).stdout
}

test('what happens is told', async (t) => {
  const keys = await mkdtemp(join(tmpdir(), 'postbus-observed-'))
  t.after(() => rm(keys, { recursive: true }))
  const key = randomBytes(32)
  await writeFile(join(keys, 'addresses.key'), key)
  const collector = await startOtlpReceiver(t)
  const { platform } = await startOutbound(t, {
    zone: ZONE,
    sinks: { mx: { host: '127.0.0.2' } },
    settings: {
      OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
      OTEL_BSP_SCHEDULE_DELAY: '100',
      LOG_ADDRESSES: 'hash',
      LOG_ADDRESSES_KEY_FILE: join(keys, 'addresses.key'),
      HEALTH_PROBE_MS: '200',
    },
  })
  await platform.untilReady()
  const ready = platform.ready()
  const { ann, bob } = await addAccounts(ready, ['ann', 'bob'])

  const traceOf = (queueId: string): string =>
    collector.spans.find(({ attributes }) => attributes['postbus.queue_id'] === queueId)?.traceId ?? ''
  const services = (...names: string[]): string[] => names.map((name) => `postbus-${name}`).toSorted()

  /** The tree of a message once its parts have come and fit together. */
  async function treeOf(queueId: string, names: readonly string[]): Promise<SpanTree> {
    const tree = (): SpanTree => spanTree(collector.spans, traceOf(queueId))
    const whole = ({ text, orphans, roots }: SpanTree): boolean =>
      names.every((name) => text.includes(name)) && orphans.length === 0 && roots.length === 1
    await until(
      () => whole(tree()),
      60_000,
      () => `the trace of ${queueId} is not one tree with ${names.join(', ')}:\n${tree().text}`,
    )
    return tree()
  }

  let sent = ''
  await t.test('a message to two places is one tree, through every service that touched it', async () => {
    sent = await submit(ready, ann, [bob.address, 'carol@far.test'], { text: `${SECRET_BODY}\r\n` })
    await settled(platform, sent)
    const parts = [
      'AUTH',
      // Files share a flush; a bucket or a database has the record when it says so.
      SPOOL_IS_FILES ? 'spool flush' : 'spool write',
      'publish mail.accepted',
      'process mail.accepted',
      'directory.resolve',
      'db deliver',
    ]
    const attempt = ['DNS MX', 'TCP connect', 'SMTP EHLO', 'SMTP MAIL RCPT DATA', 'SMTP reply', 'db commit ledger']
    const tree = await treeOf(sent, [...parts, ...attempt, 'db commit books'])
    t.diagnostic(`\n${tree.text}`)
    assert.equal(tree.roots[0]?.name, 'SMTP session')
    const passed = services('submission', 'directory', 'router', 'mailstore', 'delivery', 'custody')
    assert.deepEqual([...tree.services].toSorted(), passed)
  })

  await t.test('mail from outside, and those who read it, are recorded too, and no span is an orphan', async () => {
    const queueId = queueIdOf(await bySwaks(ready, { from: 'carol@far.test', to: bob.address }))
    await settled(platform, queueId)
    assert.ok((await treeOf(queueId, ['db deliver'])).services.has('postbus-inbound'))
    await messages(ready, bob, 2)
    const pop3 = `pop3s://localhost:${ready.ports['pop3s']}/1`
    await run('curl', ['-sS', '--cacert', ready.ca, '-u', `${bob.address}:${bob.password}`, pop3])
    const all = (): Set<string> => new Set(collector.spans.map(({ service }) => service))
    const orphans = (): string[] => {
      const known = new Set(collector.spans.map(({ spanId }) => spanId))
      const lost = collector.spans.filter(({ parentSpanId }) => parentSpanId !== '' && !known.has(parentSpanId))
      return lost.map(({ name, service }) => `${name} of ${service}`)
    }
    // Each service exports on its own.
    const isRead = (): boolean =>
      collector.spans.some(({ name, service }) => name === 'IMAP FETCH' && service === 'postbus-imap') &&
      collector.spans.some(({ name, service }) => name === 'POP3 RETR' && service === 'postbus-pop3')
    await until(
      () => all().size === serviceNames.length && orphans().length === 0 && isRead(),
      60_000,
      () => `recorded: ${[...all()].join(', ')}; orphans: ${orphans().join(', ')}; read: ${isRead()}`,
    )
    assert.deepEqual([...all()].toSorted(), services(...serviceNames))
  })

  await t.test(
    'neither addresses nor passwords nor bodies are in spans or logs; lines name message and trace',
    async () => {
      const logs = join(ready.data, 'logs')
      let files: string[] = []
      // Whoever read ends his session in his own time, and what is written then is in the files a moment later.
      const ends = [/"name":"imap".*"session ended"/, /"name":"pop3".*"retrieved":1.*"session ended"/]
      await until(
        async () => {
          files = await Promise.all((await readdir(logs)).map((name) => readFile(join(logs, name), 'utf8')))
          return ends.every((end) => files.some((text) => end.test(text)))
        },
        60_000,
        () => 'the logs do not say that sessions of IMAP and POP3 ended',
      )
      const spans = JSON.stringify(collector.spans, (_, value: unknown) =>
        typeof value === 'bigint' ? Number(value) : value,
      )
      const secrets = [
        SECRET_BODY,
        ann.password,
        bob.password,
        ...['ann', 'bob'].map((name) => `${name}@example.org`),
        'carol@far',
      ]
      for (const text of [...files, spans]) {
        for (const secret of secrets) assert.ok(!text.includes(secret), `${secret} is told`)
      }
      const lines = files.join('').split('\n')
      const hash = createHmac('sha256', key).update('ann@example.org').digest('hex').slice(0, 16)
      const accepted = lines.find((line) => line.includes('"message accepted"') && line.includes(sent)) ?? '{}'
      const line = JSON.parse(accepted) as Record<string, unknown>
      const { traceId, reversePath, recipients, code, tls, protocol } = line
      assert.deepEqual(
        { traceId, reversePath, recipients, code, tls, protocol },
        {
          traceId: traceOf(sent),
          reversePath: `#${hash}`,
          recipients: 2,
          code: 250,
          tls: 'TLSv1.3',
          protocol: 'ESMTPSA',
        },
      )
      const traced = lines.filter((one) => one.includes(traceOf(sent))).join('\n')
      for (const name of ['submission', 'router', 'mailstore', 'delivery'])
        assert.match(traced, new RegExp(`"name":"${name}"`))
    },
  )

  await t.test('`postbus trace` shows the life of a message, and follows one to its end', async () => {
    const { messages: lives } = await postbus<Traced>(ready, 'trace', sent)
    assert.equal(lives[0]?.traceId, traceOf(sent))
    assert.ok(lives[0]?.freed)
    const steps = lives[0]?.recipients.map(({ forwardPath, events }) =>
      [forwardPath, ...events.map(({ what }) => what)].join(' '),
    )
    assert.deepEqual(steps?.toSorted(), [`${bob.address} routed delivered`, 'carol@far.test routed relayed'])
    for (const { events } of lives[0]?.recipients ?? []) assert.equal(typeof events.at(-1)?.tookMs, 'number')
    const tree = await printed(ready, 'trace', bob.address, '--limit', '5')
    t.diagnostic(`\n${tree}`)
    assert.match(tree, new RegExp(`^${sent} {2}from ann@example\\.org`, 'm'))
    assert.match(
      tree,
      /carol@far\.test {2}relayed\n.*├─ \+\d+\.\d{3} s.*routed\n.*└─ \+\d+\.\d{3} s +relayed {2}attempt 1, \d+ ms {2}mx\.far\.test: 250/,
    )

    const following = printed(ready, 'trace', 'dora@far.test', '--follow')
    const later = await submit(ready, ann, ['dora@far.test'])
    const told = await following
    t.diagnostic(`\n${told}`)
    const words = told
      .trim()
      .split('\n')
      .map((one) => / s +(.*?)(?: {2}|$)/.exec(one)?.[1])
    assert.deepEqual(words, ['accepted', 'routed', 'relayed', 'freed'])
    assert.ok(told.includes(later))
  })

  await t.test('`postbus log-level` holds for every copy until its time is up or it is taken back', async () => {
    const set = await postbus<{ level: string }[]>(ready, 'log-level', 'router', 'debug', '--for', '1h')
    assert.deepEqual(new Set(set.map(({ level }) => level)), new Set(['debug']))
    const { services: all } = await postbus<Status>(ready, 'status')
    assert.equal(all.find(({ service }) => service === 'router')?.logLevel, 'debug')
    assert.match(await printed(ready, 'log-level', 'router', 'default'), / info$/m)
  })

  await t.test('`postbus status` names what is not there, and who waits for it; liveness does not', async () => {
    const { value, status } = await postbusStatus<Status>(ready, 'status')
    assert.deepEqual([status, value.ready, value.missing], [0, true, []])
    assert.deepEqual(new Set(value.services.map(({ service }) => service)), new Set(serviceNames))
    assert.ok(value.bus.streams.length > 0 && value.queue?.total === 0)

    platform.freeze('mailstore')
    const reasons = async (): Promise<string> => {
      const response = await fetch(`http://${ready.host}:${ready.metrics['imap']}/readyz`)
      return response.ok ? 'ready' : response.text()
    }
    let why = ''
    await until(
      async () => (why = await reasons()) !== 'ready',
      60_000,
      () => 'imap stays ready without a mailstore',
    )
    assert.match(why, /"mailstore: (does not answer|no answer in 2 s)"/)
    assert.equal((await fetch(`http://${ready.host}:${ready.metrics['imap']}/healthz`)).status, 200)
    const without = await postbusStatus<Status>(ready, 'status')
    assert.deepEqual([without.status, without.value.missing], [1, ['mailstore']])
    platform.thaw('mailstore')
    await platform.untilReady()
  })
})
