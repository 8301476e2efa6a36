/** `postbus doctor` where there is something to find: files that are wrong, a bus that is away, a DNS server with our zone. */
import assert from 'node:assert/strict'
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'

import { dnsResolver, parseServer } from '@postbus/dns'
import { databasePath, layoutOf } from '@postbus/profile'
import { migrate, openPostgres, openSqlite } from '@postbus/sql'
import { startDnsServer, startNatsServer, startPostgres, startSmtpSink, testCertificate } from '@postbus/testkit'

import { domainState, nameState, resolverState } from '../src/adapters/dns-state.ts'
import { fileSystemAhead, greetingOf, healthOf, whyClosed } from '../src/adapters/machine.ts'
import { BackupImpossible, takeBackup } from '../src/backup/take-backup.ts'
import { postbus } from '../src/cli/postbus.ts'
import { judgeServer } from '../src/doctor/databases.ts'
import type { Finding } from '../src/doctor/finding.ts'

async function temporary(t: TestContext): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'postbus-doctor-'))
  t.after(() => rm(dir, { recursive: true, force: true }))
  return dir
}

async function examined(
  ...args: string[]
): Promise<{ status: number; findings: Finding[]; of(check: string): string[] }> {
  let text = ''
  const around = {
    env: {},
    stdout: { write: (part: string) => (text += part) },
    stderr: { write: (_: string) => undefined },
  }
  const status = await postbus(['doctor', ...args, '--json'], around)
  const findings = JSON.parse(text) as Finding[]
  const of = (check: string): string[] =>
    findings.filter((finding) => finding.check === check).map(({ level, found }) => `${level}: ${found}`)
  return { status, findings, of }
}

async function stoppedPlatform(t: TestContext) {
  const layout = layoutOf(await temporary(t))
  for (const dir of [layout.databases, layout.spool, layout.keys, layout.run]) await mkdir(dir)
  for (const service of ['custody', 'mailstore']) {
    const db = openSqlite(databasePath(layout, service))
    await db.transaction((tx) => tx.exec('create table message (queue_id text primary key)'))
    await db.close()
  }
  await writeFile(join(layout.keys, 'custody.nk'), 'secret', { mode: 0o600 })
  const { certFile, keyFile } = await testCertificate(t)
  const listener = { TLS_CERT_FILE: certFile, TLS_KEY_FILE: keyFile, MAIL_HOSTNAME: 'localhost' }
  const settings = { inbound: { ...listener, INBOUND_PORT: '1', HEALTH_HOST: '127.0.0.1', HEALTH_PORT: '1' } }
  await writeFile(layout.settings, JSON.stringify(settings))
  return layout
}

test('a stopped platform is looked at by its files', async (t) => {
  const layout = await stoppedPlatform(t)
  const look = () => examined('--offline', layout.data, '--no-network')
  const well = await look()
  assert.deepEqual(well.of('platform'), ['ok: stopped'])
  assert.deepEqual(well.of('spool'), ['ok: 0 records, all readable'])
  assert.deepEqual(well.of('keys'), ['ok: all 1 for their owner only'])
  // The test's certificate ends tomorrow.
  assert.deepEqual(
    well.findings.filter(({ level }) => level === 'error').map(({ check }) => check.split(' ')[0]),
    ['certificate'],
  )

  await writeFile(databasePath(layout, 'mailstore'), 'not a database')
  await chmod(join(layout.keys, 'custody.nk'), 0o644)
  await writeFile(join(layout.data, 'postbus.lock'), '1 0')
  const ill = await look()
  assert.equal(ill.status, 2)
  assert.match(ill.of('database mailstore')[0] ?? '', /^error: damaged: /)
  assert.deepEqual(ill.of('database custody'), ['ok: sound, 1 MiB'])
  assert.match(ill.of('keys')[0] ?? '', /^error: others may read .*custody\.nk$/)
  await rm(layout.keys, { recursive: true })
  assert.match((await look()).of('keys')[0] ?? '', /^unknown: could not be looked at: /)
})

test(
  'databases on a PostgreSQL are looked at there; a backup of files alone is refused',
  { timeout: 120_000 },
  async (t) => {
    const layout = await stoppedPlatform(t)
    const postgres = await startPostgres(t)
    const settings = { directory: { DIRECTORY_DATABASE: postgres.url }, custody: { CUSTODY_DATABASE: postgres.url } }
    await writeFile(layout.settings, JSON.stringify(settings))
    const db = openPostgres(postgres.url, { schema: 'directory' })
    await migrate(db, [{ name: '0001-first', sqlite: '', postgres: '' }])
    await db.close()
    const look = () => examined('--offline', layout.data, '--no-network')
    const { of } = await look()
    // The server of tests is in no danger of a loss of power.
    assert.match(of('database directory')[0] ?? '', /^error: PostgreSQL [\d.]+, but fsync is off/)
    const backup = join(layout.data, 'backup')
    await assert.rejects(takeBackup({ data: layout.data, to: backup, progress: () => {} }), BackupImpossible)

    await postgres.stop()
    const gone = await look()
    assert.match(gone.of('database directory')[0] ?? '', /^error: postgres:\/\/.*ECONNREFUSED/)
    assert.ok(!JSON.stringify(gone.findings).includes(new URL(postgres.url).password))
    const report = { version: '15.2', unsafe: [], isStandby: false, steps: ['0001-first'] }
    assert.equal(judgeServer('directory', report).level, 'ok')
    assert.equal(judgeServer('directory', { ...report, steps: null }).level, 'warning')
    assert.equal(judgeServer('directory', { ...report, isStandby: true }).level, 'error')
  },
)

test('a bus that is away, and services that do not answer, stop no other check', { timeout: 120_000 }, async (t) => {
  const layout = await stoppedPlatform(t)
  const access = { natsUrl: 'nats://127.0.0.1:1', operatorNkeyFile: join(layout.keys, 'custody.nk') }
  await writeFile(layout.operator, JSON.stringify(access))
  const { status, of } = await examined('--data', layout.data, '--no-network')
  assert.equal(status, 2)
  assert.match(of('bus')[0] ?? '', /^error: no bus at /)
  assert.deepEqual(of('inbound'), ['error: does not answer on its health port'])
  assert.match(of('ports')[0] ?? '', /^error: inbound INBOUND_PORT: 127\.0\.0\.1:1 ECONNREFUSED$/)
  assert.deepEqual(of('spool'), ['ok: 0 records, all readable'])
})

test('a bus nobody has made anything on is told as such', { timeout: 120_000 }, async (t) => {
  const layout = await stoppedPlatform(t)
  const nats = await startNatsServer(t)
  const operatorNkeyFile = join(layout.keys, 'operator.nk')
  await writeFile(operatorNkeyFile, nats.seeds.operator, { mode: 0o600 })
  await writeFile(layout.operator, JSON.stringify({ natsUrl: nats.url, operatorNkeyFile }))
  const { of } = await examined('--data', layout.data, '--no-network')
  assert.match(of('streams')[0] ?? '', /^error: missing: MAIL_ACCEPTED, /)
  assert.match(of('consumers')[0] ?? '', /^error: missing: MAIL_ACCEPTED\/router, /)
  assert.deepEqual(of('schedules'), ['unknown: could not be looked at: custody.queueSites: nobody answers'])
})

const ZONE = `
. NS a.root.test.
example.org. MX 10 mx.example.org.
example.org. TXT "v=spf1 mx -all"
_dmarc.example.org. TXT "v=DMARC1; p=none"
mx.example.org. A 192.0.2.1
k._domainkey.example.org. TXT "v=DKIM1; k=ed25519; p=abc"
1.2.0.192.in-addr.arpa. PTR mx.example.org.
`

test('what DNS says is told apart from what it cannot say', async (t) => {
  const server = await startDnsServer(t, ZONE)
  const address = parseServer(server.address)
  assert.ok(address)
  const dns = dnsResolver({ servers: [address], timeoutMs: 10_000, rounds: 1 })
  t.after(() => dns.close())
  const ours = { hostname: 'other.example.org', addresses: new Set(['192.0.2.1']) }
  const key = { recordName: 'k._domainkey.example.org', record: 'v=DKIM1; k=ed25519; p=abc' }
  assert.deepEqual(await resolverState(dns), { roots: 1, failure: null })
  assert.deepEqual(await domainState(dns, 'example.org', [key], ours), {
    ...{ domain: 'example.org', mx: ['mx.example.org'], mxOurs: ['mx.example.org'] },
    ...{ texts: ['v=spf1 mx -all'], dmarc: ['v=DMARC1; p=none'] },
    keys: [{ ...key, published: ['v=DKIM1; k=ed25519; p=abc'] }],
  })
  assert.deepEqual(await nameState(dns, 'mx.example.org'), {
    ...{ hostname: 'mx.example.org', addresses: ['192.0.2.1'] },
    reverse: [{ address: '192.0.2.1', names: ['mx.example.org'] }],
  })
  const empty = await domainState(dns, 'example.net', [], ours)
  assert.deepEqual([empty.mx, empty.texts, empty.dmarc], [[], [], []])
  server.fault('*', 'servfail')
  const silent = await domainState(dns, 'silent.test', [], ours)
  assert.deepEqual([silent.mx, silent.texts, silent.dmarc], [null, null, null])
})

test('what listens and what does not, and whose clock the file system goes by', async (t) => {
  const sink = await startSmtpSink(t)
  assert.match((await greetingOf('127.0.0.1', sink.port)).greeting ?? '', /^220 /)
  assert.equal(await whyClosed('127.0.0.1', sink.port), null)
  await sink.close()
  const { greeting, failure } = await greetingOf('127.0.0.1', sink.port)
  assert.deepEqual([greeting, failure, await whyClosed('127.0.0.1', sink.port)], [null, 'ECONNREFUSED', 'ECONNREFUSED'])
  assert.equal(await healthOf('127.0.0.1', String(sink.port)), null)
  assert.ok(Math.abs(await fileSystemAhead(await temporary(t))) < 60_000)
})
