/**
 * A large queue that every site has deferred, and the operator's hands on it: it is there again after a restart, and one recipient
 * or a whole domain is retried, held, released and cancelled.
 */
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { test, type TestContext } from 'node:test'

import { smtpLoad, startSmtpSink } from '@postbus/testkit'

import { metric, startPlatform, until, type Platform } from '../platform.ts'
import { postbus } from '../postbus.ts'
import { submit } from '../sending.ts'

const long = process.env['POSTBUS_TEST_LONG'] === '1'
const MESSAGES = long ? 100_000 : 600
const SITES = long ? 50 : 6
/** An hour: nothing comes up by itself while the scenario runs. */
const RETRY_MS = '3600000'
const LOAD_MS = 3_600_000
const SETTLE_MS = long ? 600_000 : 180_000

interface Sites {
  sites: { site: string; deferred: number; held: number }[]
  total: number
}
interface Done {
  recipients: number
  results: Record<string, number>
}

test('a large deferred queue outlives a restart, and obeys', { timeout: 2 * LOAD_MS }, async (t) => {
  const sink = await startSmtpSink(t)
  const settings = {
    DIRECTORY_MESSAGES_PER_HOUR: '10000000',
    DIRECTORY_RECIPIENTS_PER_HOUR: '10000000',
    DELIVERY_ALLOW_PRIVATE: 'true',
    DELIVERY_SMARTHOST: `127.0.0.1:${sink.port}`,
    DELIVERY_RETRY_FIRST_MS: RETRY_MS,
    DELIVERY_RETRY_GREYLIST_MS: RETRY_MS,
  }
  const args = ['--processes', ...Object.entries(settings).flatMap(([name, value]) => ['--set', `${name}=${value}`])]
  const first = await startPlatform(t, { args })
  const { data, accounts } = first.ready()
  const [sender] = accounts
  assert.ok(sender)
  const site = (index: number): string => `site${index}.test`
  const told = (what: string, count: number, since: number): void =>
    t.diagnostic(`${what}: ${count} in ${((performance.now() - since) / 1000).toFixed(1)} s`)

  await fill(
    t,
    first,
    sender,
    Array.from({ length: SITES }, (_, index) => `tempfail@${site(index)}`),
  )
  const broker = first.ready().pids['nats']
  assert.ok(broker)
  t.diagnostic(`nats-server with ${MESSAGES} schedules: ${await residentMib(broker)} MiB resident`)
  await first.stop()

  const restarted = performance.now()
  const platform = await startPlatform(t, { args, data })
  const ready = platform.ready()
  const fresh = await submit(ready, sender, [`fine@${site(0)}`])
  await until(
    () => sink.messages.some(({ recipients }) => recipients.some(({ forwardPath }) => forwardPath.startsWith('fine@'))),
    SETTLE_MS,
    () => `nothing was delivered after the restart: ${fresh}\n${platform.output()}`,
  )
  told('from the start to the first delivery', 1, restarted)

  const count = (name: string): Promise<Sites> => postbus<Sites>(ready, 'queue', 'sites', '--site', name)
  const stateOf = async (name: string) => (await count(name)).sites.find((one) => one.site === name)
  const settled = (name: string, fact: (counted: Sites['sites'][number] | undefined) => boolean): Promise<void> =>
    until(
      async () => fact(await stateOf(name)),
      SETTLE_MS,
      () => `the books do not say so of ${name}\n${platform.output()}`,
    )
  const perSite = MESSAGES / SITES
  const all = await postbus<Sites>(ready, 'queue', 'sites')
  assert.equal(all.total, MESSAGES)
  assert.ok(all.sites.every(({ deferred }) => deferred === perSite))

  await t.test('one recipient is retried now', async () => {
    const [row] = await postbus<{ queueId: string }[]>(ready, 'queue', 'list', '--site', site(1), '--limit', '1')
    assert.ok(row)
    const before = sink.commands.filter((line) => line.includes(`<tempfail@${site(1)}>`)).length
    const since = performance.now()
    await postbus<Done>(ready, 'queue', 'retry', row.queueId)
    told('retry of one, command and all', 1, since)
    await until(
      () => sink.commands.filter((line) => line.includes(`<tempfail@${site(1)}>`)).length > before,
      SETTLE_MS,
      () => 'it was not tried',
    )
  })

  await t.test('a domain is held, then released, and every recipient of it is tried again', async () => {
    let since = performance.now()
    const held = await postbus<Done>(ready, 'queue', 'hold', '--site', site(2))
    told('hold of a domain', held.recipients, since)
    assert.equal(held.results['done'], perSite)
    await settled(site(2), (counted) => counted?.held === perSite)
    const before = sink.commands.length
    since = performance.now()
    await postbus<Done>(ready, 'queue', 'release', '--site', site(2))
    told('release of a domain', perSite, since)
    await settled(site(2), (counted) => counted?.deferred === perSite)
    assert.ok(sink.commands.length - before >= perSite)
  })

  await t.test('a domain is cancelled, and nobody else', async () => {
    const since = performance.now()
    const cancelled = await postbus<Done>(ready, 'queue', 'cancel', '--site', site(3))
    told('cancel of a domain', cancelled.recipients, since)
    assert.equal(cancelled.results['done'], perSite)
    await settled(site(3), (counted) => counted === undefined)
    assert.equal((await postbus<Sites>(ready, 'queue', 'sites')).total, MESSAGES - perSite)
  })
})

/** Until every recipient has been refused for now, once. */
async function fill(
  t: TestContext,
  platform: Platform,
  { address, password }: { address: string; password: string },
  recipients: string[],
): Promise<void> {
  const { host, ports, ca } = platform.ready()
  const since = performance.now()
  const { promised } = await smtpLoad({
    ...{ host, recipients, messages: MESSAGES, sessions: 10, bytes: 500, ledger: null },
    port: ports['submissions'] ?? 0,
    login: { user: address, password, ca: await readFile(ca, 'utf8') },
  })
  assert.equal(promised.size, MESSAGES)
  let deferred = 0
  await until(
    async () => {
      deferred = await metric(platform.ready(), 'delivery', 'mail_delivery_attempts_total', 'outcome="deferred"')
      return deferred >= MESSAGES
    },
    LOAD_MS,
    () => `${deferred} of ${MESSAGES} deferred\n${platform.output()}`,
  )
  t.diagnostic(`${MESSAGES} messages taken and deferred in ${((performance.now() - since) / 1000).toFixed(0)} s`)
}

async function residentMib(pid: number): Promise<number> {
  const [, kib] = /^VmRSS:\s+(\d+) kB$/m.exec(await readFile(`/proc/${pid}/status`, 'utf8')) ?? []
  return Math.round(Number(kib) / 1024)
}
