/**
 * Prometheus from Debian scrapes the platform while it does all it can: every metric that docs/metrics.md names is there, of its type,
 * in the services it is said to be in, and none besides; what counts has counted, and no label says who anybody is.
 */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'
import { promisify } from 'node:util'

import { testCertificate } from '@postbus/testkit'
import { createTransport } from 'nodemailer'

import { imapClientOf } from '../mailboxes.ts'
import { startOutbound } from '../outbound.ts'
import { until, type Ready } from '../platform.ts'
import { postbus, type Account } from '../postbus.ts'
import { documentedMetrics, startPrometheus } from '../prometheus.ts'
import { administrator } from '../raw-bus.ts'
import { bySwaks, submit } from '../sending.ts'

const run = promisify(execFile)
const COUNTED_MS = 120_000
/** Above what goes into the mailstore's own tables. */
const LARGE = 'x'.repeat(76).concat('\r\n').repeat(10_000)

/** What stays at zero in this scenario, and why. */
const STAYS_ZERO: Readonly<Record<string, string>> = {
  mail_bus_redeliveries_total:
    'nobody dies with an event in hand before the broker does; in the scenarios with kill -9 they do',
  mail_bus_pauses_total: 'nothing that a consumer needs is down before the broker is; in killed-processes it is',
  mail_custody_census_missing_total: 'the bus loses nothing; in broker-faults it does',
  mail_delivery_spilled_total: 'no site fills its lane; in peers-answers one does',
}

const ZONE = `
  good.test.    A  127.0.0.2
  garbled.test. A  127.0.0.3
  rude.test.    A  127.0.0.4
  away.test.    A  127.0.0.5
  dark.test.    A  127.0.0.2
`

/** A recipient at a slow host takes longer, and is looked for. */
const OVERDUE_MS = 1000
/** Times that are minutes where people wait for them. */
const SETTINGS = {
  ...{ DELIVERY_BREAKER_TROUBLES: '1', DNS_TIMEOUT_MS: '300', DNS_ROUNDS: '1' },
  ...{
    CUSTODY_RECONCILE_MS: '300',
    CUSTODY_OVERDUE_MS: String(OVERDUE_MS),
    CUSTODY_CHECK_GAP_MS: '1000',
    CUSTODY_BOOKS_MS: '1000',
  },
  ...{ MAILSTORE_PURGE_MS: '200', MAILSTORE_UNDELETE_MS: '0', MAILSTORE_BLOB_GRACE_MS: '1' },
}

test('every documented metric is there and counts, and nothing else', async (t) => {
  const { certFile, keyFile } = await testCertificate(t, { name: 'good.test' })
  const tls = { cert: await readFile(certFile, 'utf8'), key: await readFile(keyFile, 'utf8') }
  const admin = administrator()
  const { platform, dns } = await startOutbound(t, {
    zone: ZONE,
    sinks: {
      good: { host: '127.0.0.2', tls, slowMs: 3 * OVERDUE_MS },
      garbled: { host: '127.0.0.3', tls, tlsBroken: 'garbage' },
      rude: { host: '127.0.0.4', greeting: '554 5.3.2 not today' },
    },
    args: admin.args,
    settings: SETTINGS,
  })
  const ready = platform.ready()
  const prometheus = await startPrometheus(t, ready)
  const [writer, reader, limited] = ready.accounts
  assert.ok(writer && reader && limited)
  const people = { writer, reader, limited }
  await postbus(ready, 'account', 'change', limited.address, '--quota', '1K', '--messages-per-hour', '1')
  const list = ['list', 'add', 'team@example.org', '--owner', writer.address, '--member', reader.address]
  await postbus(ready, ...list)

  dns.fault('dark.test', 'servfail')
  await Promise.all([mailComesIn(ready, people), mailGoesOut(ready, writer), mailIsRead(ready, reader)])
  const connection = await admin.connect(ready)
  connection.publish('mail.local.v1.x.y', '{')
  await connection.drain()
  await postbus(ready, 'queue', 'retry', '--site', 'good.test')
  const early = await countedIn(ready)
  await platform.kill('nats')
  await platform.untilReady()
  await submit(ready, writer, [reader.address])

  const documented = await documentedMetrics()
  const services = ['custody', 'directory', 'mailstore', 'router', 'delivery', 'submission', 'inbound', 'imap', 'pop3']
  const counting = documented.filter(({ type, name }) => type !== 'gauge' && !(name in STAYS_ZERO))
  const series = ({ type, name }: (typeof documented)[number]) => (type === 'histogram' ? `${name}_count` : name)
  let atZero: string[] = []
  await until(
    async () => {
      const counted = await prometheus.query('sum by (__name__) ({__name__=~"mail_.+(_total|_count)"}) > 0')
      const names = new Set(counted.map(({ metric }) => metric['__name__']))
      atZero = counting.map(series).filter((name) => !names.has(name))
      // All may have counted before the last of them is looked at for the first time.
      const scraped = await prometheus.query('count by (job) (last_over_time(mail_service_ready[1m]))')
      return atZero.length === 0 && scraped.length === services.length
    },
    COUNTED_MS,
    () => `at zero: ${atZero.join(', ')}\n${platform.output()}`,
  )
  t.diagnostic(`${documented.length} metrics, ${counting.length} of them counted something`)

  await t.test('what is said to stay at zero does', () => {
    assert.deepEqual(
      Object.keys(STAYS_ZERO).filter((name) => early.has(name)),
      [],
    )
  })

  await t.test('every metric is where it is documented, and only there', async () => {
    // A page that came too late once takes all its series away until the next one.
    const found = await prometheus.query(
      'count by (__name__, job) (last_over_time({__name__=~".+", __name__!~"up|scrape_.+|.+:.+|ALERTS.*"}[1m]))',
    )
    const foreign = found.filter(({ metric: { __name__: name = '' } }) => !/^(mail|process|nodejs)_/.test(name))
    assert.deepEqual(foreign, [])
    const expected = documented.flatMap((metric) => {
      const names =
        metric.type === 'histogram' ? ['_bucket', '_sum', '_count'].map((end) => metric.name + end) : [metric.name]
      return names.map((name) => [name, metric] as const)
    })
    const byName = new Map(expected)
    const places = (name: string) =>
      found.filter(({ metric }) => metric['__name__'] === name).map(({ metric }) => metric['job'])
    for (const { metric } of found) {
      const [name = '', job = ''] = [metric['__name__'], metric['job']]
      if (!name.startsWith('mail_')) continue
      const known = byName.get(name) ?? assert.fail(`${name} of ${job} is not documented`)
      assert.ok(known.services.length === 0 || known.services.includes(job), `${name} is not documented for ${job}`)
    }
    for (const [name, metric] of byName) {
      const where = places(name)
      assert.ok(where.length > 0, `${name} is nowhere`)
      // Series with labels appear with their first event, which need not happen everywhere.
      if (metric.labels.length > 0) continue
      assert.deepEqual(where.toSorted(), (metric.services.length === 0 ? services : metric.services).toSorted(), name)
    }
    for (const group of ['process_', 'nodejs_']) {
      const with_ = new Set(
        found.filter(({ metric }) => metric['__name__']?.startsWith(group)).map(({ metric }) => metric['job']),
      )
      assert.deepEqual([...with_].toSorted(), services.toSorted())
    }
  })

  await t.test('type, meaning and labels are the documented ones', async () => {
    const told = await prometheus.get<Record<string, { type: string; help: string }[]>>('metadata')
    for (const { name, type, help } of documented) {
      // OpenMetrics names a counter without its ending.
      const [metadata] = told[name] ?? told[name.replace(/_total$/, '')] ?? []
      assert.deepEqual({ type: metadata?.type, help: metadata?.help }, { type, help }, name)
    }
    const all = await prometheus.get<Record<string, string>[]>('series', { 'match[]': '{__name__=~"mail_.+"}' })
    const labelsOf = new Map(documented.map(({ name, labels }) => [name, labels]))
    for (const { __name__: name = '', job: _job, instance: _instance, le: _le, ...labels } of all) {
      const documentedLabels = labelsOf.get(name) ?? labelsOf.get(name.replace(/_(bucket|sum|count)$/, ''))
      assert.deepEqual(Object.keys(labels).toSorted(), documentedLabels?.toSorted(), name)
      for (const value of Object.values(labels)) assert.match(value, HARMLESS, `${name} ${value}`)
    }
    t.diagnostic(`${all.length} series of ${services.length} services`)
  })

  await t.test('time to the inbox and to the first attempt name their trace', async () => {
    for (const name of ['mail_time_to_inbox_seconds', 'mail_time_to_first_attempt_seconds']) {
      const now = Date.now() / 1000
      const [found] = await prometheus.get<{ exemplars: { labels: Record<string, string> }[] }[]>('query_exemplars', {
        ...{ query: `${name}_bucket`, start: String(now - 600), end: String(now + 60) },
      })
      assert.match(found?.exemplars[0]?.labels['trace_id'] ?? '', /^[0-9a-f]{32}$/, name)
    }
  })

  await t.test('every rule can be evaluated on it', async () => {
    const { groups } = await prometheus.get<{
      groups: { rules: { name: string; health: string; lastError?: string }[] }[]
    }>('rules')
    const rules = groups.flatMap((group) => group.rules)
    assert.ok(rules.length > 0)
    assert.deepEqual(
      rules.filter(({ health }) => health === 'err'),
      [],
    )
    t.diagnostic(`${rules.length} rules`)
  })
})

/** Neither an address nor a domain nor a queue id. */
const HARMLESS = /^(?!.*@)(?!.*\.(test|org|com|net)\b)(?![0-9A-HJKMNP-TV-Z]{26}$).{0,64}$/

type People = Record<'writer' | 'reader' | 'limited', Account>

/** From users and from other hosts: taken, refused, returned. */
async function mailComesIn(ready: Ready, { writer, reader, limited }: People): Promise<void> {
  await submit(ready, writer, ['team@example.org', limited.address], { text: LARGE })
  await submit(ready, limited, [reader.address])
  await assert.rejects(submit(ready, limited, [reader.address]), /limit|later/i)
  await assert.rejects(submit(ready, { ...writer, password: 'wrong' }, [reader.address]), /535/)
  assert.match(await bySwaks(ready, { from: 'a@example.com', to: reader.address }), /250 2\.\d\.\d .*queued|250 2\./)
  assert.match(await bySwaks(ready, { from: 'a@example.com', to: 'nobody@example.org' }), /<\*\* 550 5\.1\.1 /)
  const raw = [
    ...[`To: ${reader.address}`, 'From: MAILER-DAEMON@far.test', 'Subject: Undelivered', 'MIME-Version: 1.0'],
    ...['Content-Type: multipart/report; report-type=delivery-status; boundary=b', '', '--b', '', 'Full.', ''],
    ...['--b', 'Content-Type: message/delivery-status', '', 'Reporting-MTA: dns; far.test', ''],
    ...['Final-Recipient: rfc822; fine@far.test', 'Action: failed', 'Status: 5.2.2', '', '--b--', ''],
  ].join('\r\n')
  const transport = createTransport({ host: 'localhost', port: ready.ports['mx'], ignoreTLS: true })
  await transport.sendMail({ envelope: { from: '', to: reader.address }, raw }).finally(() => transport.close())
}

/** To hosts that take it, refuse it, put it off, and cannot be spoken to. */
/** Counters of any service that counted something. */
async function countedIn({ host, metrics }: Ready): Promise<Set<string>> {
  const pages = Object.values(metrics).map(async (port) => (await fetch(`http://${host}:${port}/metrics`)).text())
  const counted = new Set<string>()
  for (const page of await Promise.all(pages)) {
    for (const [, name = ''] of page.matchAll(/^(mail_\w+_total)(?:\{.*\})? (?!0$)/gm)) counted.add(name)
  }
  return counted
}

async function mailGoesOut(ready: Ready, writer: Account): Promise<void> {
  const to = [
    'fine@good.test',
    'slow@good.test',
    'permfail@good.test',
    'tempfail@good.test',
    'fine@garbled.test',
    'fine@rude.test',
  ]
  await submit(ready, writer, [...to, 'fine@dark.test', 'one@away.test'])
  // The site that is away is known to be by now, or soon.
  await submit(ready, writer, ['two@away.test'])
  await submit(ready, writer, ['three@away.test'])
}

/** By IMAP, told while idle, and by POP3. */
async function mailIsRead(ready: Ready, reader: Account): Promise<void> {
  await assert.rejects(imapClientOf(ready, { ...reader, password: 'wrong' }))
  const client = await imapClientOf(ready, reader)
  try {
    await client.mailboxOpen('INBOX')
    const told = new Promise((resolve) => client.once('exists', resolve))
    const idling = client.idle()
    await bySwaks(ready, { from: 'a@example.com', to: reader.address })
    await told
    await client.append('Trash', Buffer.from(`Subject: large\r\n\r\n${LARGE}`))
    await idling
    await client.search({ body: 'hello' })
    await client.mailboxOpen('Trash')
    await client.messageDelete('1:*')
  } finally {
    await client.logout()
  }
  const url = `pop3s://localhost:${ready.ports['pop3s']}/1`
  const curl = (login: string) => run('curl', ['-sS', '--cacert', ready.ca, '-u', login, url])
  await curl(`${reader.address}:${reader.password}`)
  await assert.rejects(curl(`${reader.address}:wrong`))
}
