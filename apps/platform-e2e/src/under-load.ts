/**
 * A platform under load while faults happen to it. Every 250 is in a ledger of the client's own, on disk, outside the platform; in
 * the end each promise is looked for in the mailboxes, over IMAP, and at the sink that stands for the rest of the world.
 *
 * A third of the recipients is remote, half of the messages is submitted with a login. Moments of the faults are drawn from a seed,
 * between the first and the last 250.
 */
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { TestContext } from 'node:test'

import { between, seeded, smtpLoad, startSmtpSink, type SmtpSink } from '@postbus/testkit'

import { compare, loadIds } from './mailboxes.ts'
import { startPlatform, until, type Platform } from './platform.ts'

export const long = process.env['POSTBUS_TEST_LONG'] === '1'
const SEED = Number(process.env['POSTBUS_TEST_SEED'] ?? 20261124)
const LOAD_MS = 600_000
const SETTLE_MS = 300_000

/** Something that is done to the platform; resolves when it may be done again. */
export type Fault = (platform: Platform) => Promise<void>

export interface UnderLoad {
  platform: Platform
  sink: SmtpSink
}

/** What takes minutes on a quiet platform, in seconds; and no limits for one account that sends like many. */
const SETTINGS = {
  DIRECTORY_MESSAGES_PER_HOUR: '1000000',
  DIRECTORY_RECIPIENTS_PER_HOUR: '1000000',
  DELIVERY_ALLOW_PRIVATE: 'true',
  DELIVERY_LEASE_MS: '3000',
  DELIVERY_RETRY_FIRST_MS: '1000',
  CUSTODY_LEASE_MS: '2000',
  CUSTODY_RECONCILE_MS: '500',
  CUSTODY_SCAN_MS: '1000',
  CUSTODY_RECORD_AGE_MS: '5000',
  CUSTODY_CHECK_GAP_MS: '2000',
  CUSTODY_OVERDUE_MS: '10000',
}

/** Arguments of a start. */
export const settingsUnderLoad = (settings: Record<string, string>): string[] =>
  Object.entries({ ...SETTINGS, ...settings }).flatMap(([name, value]) => ['--set', `${name}=${value}`])

export async function platformUnderLoad(t: TestContext, settings: Record<string, string> = {}): Promise<UnderLoad> {
  const sink = await startSmtpSink(t)
  const set = settingsUnderLoad({ DELIVERY_SMARTHOST: `127.0.0.1:${sink.port}`, ...settings })
  return { platform: await startPlatform(t, { args: ['--processes', ...set] }), sink }
}

/** @returns when every promise was kept; fails when one is missing, or a mailbox has a message twice */
export async function keepPromises(
  t: TestContext,
  { platform, sink }: UnderLoad,
  { faults, messages }: { faults: readonly Fault[]; messages: number },
): Promise<{ twiceAtTheSink: number }> {
  const draw = seeded(SEED)
  const moments = faults.map(() => between(draw, 1, messages - 2)).sort((a, b) => a - b)
  const over = new AbortController()
  t.after(() => over.abort())
  const load = startLoad(platform, messages, over.signal)
  let lastFaultAt = Date.now()
  const injecting = (async () => {
    for (const [index, moment] of moments.entries()) {
      await until(
        () => load.accepted() >= moment,
        LOAD_MS,
        () => `${load.accepted()} of ${messages} accepted\n${platform.output()}`,
      )
      await faults[index]?.(platform)
      lastFaultAt = Date.now()
    }
  })()
  const [loads] = await Promise.all([load.done, injecting])
  const promised = new Map(loads.flatMap((result) => [...result.promised]))
  const isRemote = (id: string): boolean => promised.get(id)?.endsWith('@far.test') === true
  await platform.untilReady()

  let found = new Map<string, number>()
  let missing: string[] = []
  await until(
    async () => {
      found = await loadIds(platform.ready())
      const relayed = sunkIds(sink)
      missing = [...promised.keys()].filter((id) => !(isRemote(id) ? relayed : found).has(id))
      return missing.length === 0
    },
    SETTLE_MS,
    () => `missing: ${missing.slice(0, 20).join(' ')} (${missing.length})\n${platform.output()}`,
  )
  const recoveredMs = Date.now() - lastFaultAt
  const { duplicated } = compare(promised.keys(), found)
  const twiceAtTheSink = [...sunkIds(sink).values()].filter((count) => count > 1).length
  const unanswered = loads.reduce((sum, result) => sum + result.unanswered.length, 0)
  t.diagnostic(
    `faults ${faults.length} at ${moments.join(' ')}; accepted ${promised.size} (remote ${[...promised.keys()].filter(isRemote).length}), ` +
      `missing 0, twice in a mailbox ${duplicated.length}, twice at the sink ${twiceAtTheSink}, unanswered ${unanswered}, ` +
      `re-injected ${await republished(platform)}, all there ${(recoveredMs / 1000).toFixed(1)} s after the last fault`,
  )
  assert.deepEqual(duplicated, [])
  return { twiceAtTheSink }
}

/** What custody has published again since it started. */
export async function republished(platform: Platform): Promise<number> {
  const { host, metrics } = platform.ready()
  const page = await (await fetch(`http://${host}:${metrics['custody']}/metrics`)).text()
  return Number(/^mail_custody_overdue_total\{finding="republished"\} (\d+)/m.exec(page)?.[1] ?? 0)
}

/** Half to the MX, half submitted; of the latter two thirds go elsewhere. */
export function startLoad(platform: Platform, messages: number, signal: AbortSignal) {
  const { host, ports, accounts, data, ca } = platform.ready()
  const [sender] = accounts
  if (sender === undefined) assert.fail('no account')
  const local = accounts.map(({ address }) => address)
  const submitted = Math.floor(messages / 2)
  const accepted = { mx: 0, submission: 0 }
  const ledgers = { mx: join(data, '..', 'ledger'), submission: join(data, '..', 'ledger-of-submissions') }
  const done = (async () =>
    Promise.all([
      smtpLoad({
        ...{ host, recipients: local, bytes: 2000, sessions: 6, signal },
        port: ports['mx'] ?? 0,
        messages: messages - submitted,
        ledger: ledgers.mx,
        onAccepted: (count) => (accepted.mx = count),
      }),
      smtpLoad({
        ...{ host, bytes: 2000, sessions: 6, signal },
        recipients: local.flatMap((address, index) => [address, `user${index}@far.test`, `other${index}@far.test`]),
        port: ports['submissions'] ?? 0,
        login: { user: sender.address, password: sender.password, ca: await readFile(ca, 'utf8') },
        prefix: 'submitted',
        messages: submitted,
        ledger: ledgers.submission,
        onAccepted: (count) => (accepted.submission = count),
      }),
    ]))()
  return {
    accepted: () => accepted.mx + accepted.submission,
    /** Message id to recipient, of every 250 until now. */
    async promised(): Promise<Map<string, string>> {
      const texts = await Promise.all(Object.values(ledgers).map((path) => readFile(path, 'utf8')))
      const lines = texts.flatMap((text) => text.split('\n').slice(0, -1))
      return new Map(lines.map((line) => [line.split(' ')[0] ?? '', line.split(' ')[1] ?? '']))
    },
    done,
  }
}

export function sunkIds({ messages }: SmtpSink): Map<string, number> {
  const counts = new Map<string, number>()
  for (const { data } of messages) {
    const id = /^X-Load-Id: *(\S+)/m.exec(data.toString('latin1'))?.[1]
    if (id !== undefined) counts.set(id, (counts.get(id) ?? 0) + 1)
  }
  return counts
}
