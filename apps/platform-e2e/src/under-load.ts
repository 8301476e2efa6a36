/**
 * A platform under load while faults happen to it. Every 250 is in a ledger of the client's own, on disk, outside the platform; in
 * the end each promise is looked for in the mailboxes, over IMAP, and at the sink that stands for the rest of the world.
 *
 * A third of the recipients is remote, half of the messages is submitted with a login. Moments of the faults are drawn from a seed,
 * between the first and the last 250. Whatever the fault, no client may ever be refused for good.
 *
 * What came of it is one line of JSON among the test's diagnostics, for `npm run chaos`.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'

import { between, seeded, smtpLoad, startSmtpSink, type SmtpSink } from '@postbus/testkit'

import { compare, loadIds } from './mailboxes.ts'
import { metricOfAll, startPlatform, until, type Platform, type PlatformOptions, type Ready } from './platform.ts'

export const long = process.env['POSTBUS_TEST_LONG'] === '1'
export const SEED = Number(process.env['POSTBUS_TEST_SEED'] ?? 20261124)
const LOAD_MS = 600_000
const FAR_AWAY = ['far.test']
/** At each door. */
const SESSIONS = 6
/** Enough for what is offered while nothing is answered for some seconds. */
const PACED_SESSIONS = 40
/** Remote recipients whose first attempt is deferred. */
const GREYLISTED = 30
const SETTLE_MS = 300_000
const BETWEEN_READINGS_MS = 250

/** The load as a fault sees it. */
export interface Load {
  /** 250s so far. */
  accepted(): number
  /** Refusals so far, by their first line. */
  refusals(): ReadonlyMap<string, number>
  /** Nothing more will be sent. */
  over(): boolean
}

/** Something that is done to the platform; resolves when it may be done again. */
export type Fault = (platform: Platform, load: Load) => Promise<void>

export interface UnderLoad {
  platform: Platform
  sink: SmtpSink
}

/** What a scenario found, as `npm run chaos` prints it. */
export interface Facts {
  scenario: string
  faults: number
  accepted: number
  delivered: number
  missing: number
  duplicated: number
  twiceAtTheSink: number
  reinjected: number
  /** Messages in the mailboxes that nobody sent: reports of what failed. */
  reports: number
  /** From the end of the last fault until everything was there. */
  recoveryMs: number
}

/** What takes minutes on a quiet platform, in seconds; and no limits for one account that sends like many. */
const SETTINGS = {
  DIRECTORY_MESSAGES_PER_HOUR: '1000000',
  DIRECTORY_RECIPIENTS_PER_HOUR: '1000000',
  DELIVERY_ALLOW_PRIVATE: 'true',
  DELIVERY_LEASE_MS: '3000',
  DELIVERY_RETRY_FIRST_MS: '1000',
  DELIVERY_RETRY_GREYLIST_MS: '1000',
  DELIVERY_BREAKER_FIRST_MS: '1000',
  DELIVERY_BREAKER_LONGEST_MS: '4000',
  CUSTODY_LEASE_MS: '2000',
  CUSTODY_RECONCILE_MS: '500',
  CUSTODY_SCAN_MS: '1000',
  CUSTODY_SCAN_MAX_MS: '5000',
  CUSTODY_RECORD_AGE_MS: '5000',
  CUSTODY_CHECK_GAP_MS: '2000',
  CUSTODY_OVERDUE_MS: '10000',
}

type Settings = Record<string, string>

/** Arguments of a start. */
export const settingsUnderLoad = (settings: Settings): string[] =>
  Object.entries({ ...SETTINGS, ...settings }).flatMap(([name, value]) => ['--set', `${name}=${value}`])

/** @param settings over the scenarios' own; an empty one is not set */
export async function platformUnderLoad(
  t: TestContext,
  settings: Settings | ((sink: SmtpSink) => Settings) = {},
  {
    args = [],
    processes = true,
    ...options
  }: Pick<PlatformOptions, 'args' | 'disks' | 'env' | 'profile'> & { processes?: boolean } = {},
): Promise<UnderLoad> {
  const sink = await startSmtpSink(t)
  const own = typeof settings === 'function' ? settings(sink) : settings
  const set = settingsUnderLoad({ DELIVERY_SMARTHOST: `127.0.0.1:${sink.port}`, ...own })
  return {
    platform: await startPlatform(t, { ...options, args: [...(processes ? ['--processes'] : []), ...set, ...args] }),
    sink,
  }
}

export interface Promises {
  faults: readonly Fault[]
  messages: number
  /** Every fault begins before so many 250s. */
  before?: number
  /** Of the remote recipients, in turn. */
  domains?: readonly string[]
  /** Offered so many, whatever becomes of those before; without it as fast as it goes. */
  perSecond?: number
  /** How many faults there were, where a list does not say it. */
  injected?: () => number
}

/**
 * @returns when every promise was kept; fails when one is missing, or a mailbox has a message twice
 */
export async function keepPromises(
  t: TestContext,
  { platform, sink }: UnderLoad,
  { faults, messages, before = messages - 1, injected = () => faults.length, domains = FAR_AWAY, perSecond }: Promises,
): Promise<Facts> {
  const draw = seeded(SEED)
  const moments = faults.map(() => between(draw, 1, before - 1)).sort((a, b) => a - b)
  const over = new AbortController()
  t.after(() => over.abort())
  const load = startLoad(platform, messages, over.signal, { domains, ...(perSecond !== undefined && { perSecond }) })
  let lastFaultAt = performance.now()
  const injecting = (async () => {
    for (const [index, moment] of moments.entries()) {
      await until(
        () => load.accepted() >= moment,
        LOAD_MS,
        () => `${load.accepted()} of ${messages} accepted\n${platform.output()}`,
      )
      await faults[index]?.(platform, load)
      lastFaultAt = performance.now()
    }
  })()
  const died = once(platform.process, 'exit', { signal: over.signal }).then(
    () => assert.fail(`the platform ended\n${platform.output()}`),
    () => new Promise<never>(() => {}), // The test ended before it.
  )
  const [loads] = await Promise.race([Promise.all([load.done, injecting]), died])
  const promised = new Map(loads.flatMap((result) => [...result.promised]))
  const isRemote = (id: string): boolean => domains.some((domain) => promised.get(id)?.endsWith(`@${domain}`))
  await platform.untilReady()

  let found = new Map<string, number>()
  let missing: string[] = []
  let reports = 0
  let unread = ''
  await until(
    async () => {
      // Reading all mailboxes is work, for those too who have to recover: not before what is cheap to see is there.
      const relayed = sunkIds(sink)
      missing = [...promised.keys()].filter((id) => isRemote(id) && !relayed.has(id))
      if (missing.length > 0) return false
      await pause(BETWEEN_READINGS_MS)
      reports = 0
      try {
        found = await loadIds(platform.ready(), () => reports++)
      } catch (error) {
        // NO [UNAVAILABLE] so soon after the last fault: a client comes again, and so do we.
        unread = String(error)
        return false
      }
      missing = [...promised.keys()].filter((id) => !isRemote(id) && !found.has(id))
      return missing.length === 0
    },
    SETTLE_MS,
    () => `missing: ${missing.slice(0, 20).join(' ')} (${missing.length}) ${unread}\n${platform.output()}`,
  )
  const recoveryMs = Math.round(performance.now() - lastFaultAt)
  // The books close: every recipient ended, every record is given back.
  let records = NaN
  await until(
    async () => (records = await metric(platform, 'custody', 'mail_custody_spool_records')) === 0,
    SETTLE_MS,
    () => `${records} records are still in the spool\n${platform.output()}`,
  )
  const { duplicated } = compare(promised.keys(), found)
  const facts: Facts = {
    scenario: t.name,
    faults: injected(),
    accepted: promised.size,
    delivered: promised.size - missing.length,
    missing: missing.length,
    duplicated: duplicated.length,
    twiceAtTheSink: [...sunkIds(sink).values()].filter((count) => count > 1).length,
    reinjected: await republished(platform),
    ...{ reports, recoveryMs },
  }
  t.diagnostic(`facts ${JSON.stringify(facts)}`)
  const unanswered = loads.reduce((sum, result) => sum + result.unanswered.length, 0)
  const remote = [...promised.keys()].filter(isRemote).length
  t.diagnostic(`seed ${SEED}, faults at ${moments.join(' ')}, ${remote} remote, ${unanswered} unanswered`)
  for (const [line, count] of load.refusals()) t.diagnostic(`refused ${count} times: ${line}`)
  assert.deepEqual(duplicated, [])
  if (long) assert.ok(facts.accepted >= 2000 && facts.faults >= 5, 'too little happened to prove anything')
  const forGood = [...load.refusals().keys()].filter((line) => line.startsWith('5'))
  assert.deepEqual(forGood, [], 'a client was refused for good')
  return facts
}

/** What custody has published again since it started. */
export async function republished(platform: Platform): Promise<number> {
  return metric(platform, 'custody', 'mail_custody_overdue_total{finding="republished"}')
}

/** The value of one series on the metrics pages of a service, over all its replicas; 0 where it is not there yet. */
export const metric = (platform: Platform, service: string, series: string): Promise<number> =>
  metricOfAll(platform.ready(), service, (page) => {
    const line = page.split('\n').find((candidate) => candidate.startsWith(`${series} `))
    return Number(line?.slice(series.length) ?? 0)
  })

/** Where every replica of a service listens under this name. */
const portsOf = ({ ports }: Ready, name: string): number[] =>
  Object.entries(ports)
    .filter(([candidate]) => candidate.replace(/-\d+$/, '') === name)
    .map(([, port]) => port)

/** Half to the MX, half submitted; of the latter two thirds go to the domains, in turn. */
export function startLoad(
  platform: Platform,
  messages: number,
  signal: AbortSignal,
  { domains = FAR_AWAY, perSecond }: Pick<Promises, 'domains' | 'perSecond'> = {},
) {
  const sessions = perSecond === undefined ? SESSIONS : PACED_SESSIONS
  const paced = perSecond === undefined ? {} : { perSecond: perSecond / 2 }
  const ready = platform.ready()
  const { host, accounts, data, ca } = ready
  const [sender] = accounts
  if (sender === undefined) assert.fail('no account')
  const local = accounts.map(({ address }) => address)
  const domain = (index: number): string => domains[index % domains.length] ?? ''
  const submitted = Math.floor(messages / 2)
  const accepted = { mx: 0, submission: 0 }
  const refusals = new Map<string, number>()
  const onRefused = (line: string): void => void refusals.set(line, (refusals.get(line) ?? 0) + 1)
  const ledgers = { mx: join(data, '..', 'ledger'), submission: join(data, '..', 'ledger-of-submissions') }
  const done = (async () =>
    Promise.all([
      smtpLoad({
        ...{ host, recipients: local, bytes: 2000, sessions, signal, onRefused },
        port: portsOf(ready, 'mx'),
        messages: messages - submitted,
        ...paced,
        ledger: ledgers.mx,
        onAccepted: (count) => (accepted.mx = count),
      }),
      smtpLoad({
        ...{ host, bytes: 2000, sessions, signal, onRefused },
        recipients: Array.from({ length: GREYLISTED }, (_, index) => [
          ...local.slice(index % local.length, (index % local.length) + 1),
          ...[`user${index}@${domain(index)}`, `greylist${index}@${domain(index)}`],
        ]).flat(),
        port: portsOf(ready, 'submissions'),
        login: { user: sender.address, password: sender.password, ca: await readFile(ca, 'utf8') },
        prefix: 'submitted',
        messages: submitted,
        ...paced,
        ledger: ledgers.submission,
        onAccepted: (count) => (accepted.submission = count),
      }),
    ]))()
  let over = false
  const ended = (): void => void (over = true)
  done.then(ended, ended)
  return {
    accepted: () => accepted.mx + accepted.submission,
    refusals: () => refusals,
    over: () => over,
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
