/**
 * Clients that stall in every state of SMTP, and two thousand connections on which nothing is ever said: others are served meanwhile,
 * memory is bounded, and who says nothing for too long is told 421 4.4.2 and disconnected — RFC 5321 §4.5.3.2.
 */
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { test, type TestContext } from 'node:test'

import { until, type Platform, type Ready } from '../platform.ts'
import { stalledClient, type StalledClient, type StalledOptions } from '../stalled-client.ts'
import { keepPromises, long, platformUnderLoad, type Fault, type Load } from '../under-load.ts'

const MIB = 1024 ** 2
const IDLE_MS = 8000
const OF_EACH_STATE = long ? 8 : 4
const HALF_OPEN = 2000
/** Of one client address; the default bound of a client is 100. */
const OF_ONE_ADDRESS = 50
/** Below what the kernel queues. */
const FROM_ONE_ADDRESS = 300
/** Of 2,000 connections, each with what Node keeps for a socket and a session. */
const MOST_GROWTH = 192 * MIB
/** Several times the time-out. */
const ENDED_MS = 120_000
const SERVED = 20
const SERVED_MS = 180_000
const ROUNDS = long ? 3 : 1

const TIMED_OUT = /^421 4\.4\.2 /

/** Where in a session each of them stops. */
function states(
  { host, ports, accounts: [account], domains: [domain] }: Ready,
  ca: string,
): Record<string, StalledOptions> {
  const mx = { host, port: ports['mx'] ?? 0 }
  const submissions = { host, port: ports['submissions'] ?? 0, ca }
  const submission = { host, port: ports['submission'] ?? 0 }
  const mail = ['EHLO stalled.test', 'MAIL FROM:<stalled@example.com>', `RCPT TO:<${account?.address}>`]
  return {
    'after the greeting': { ...mx, lines: [] },
    'in a command': { ...mx, lines: [], rest: 'EHLO stal' },
    'after EHLO': { ...mx, lines: mail.slice(0, 1) },
    'after MAIL': { ...mx, lines: mail.slice(0, 2) },
    'after RCPT': { ...mx, lines: mail },
    'after DATA': { ...mx, lines: [...mail, 'DATA'] },
    'in the message': { ...mx, lines: [...mail, 'DATA'], rest: 'Subject: half' },
    'before the final dot': { ...mx, lines: [...mail, 'DATA'], rest: 'Subject: whole\r\n\r\nbody\r\n' },
    'an octet a second': { ...mx, lines: mail.slice(0, 1), trickleMs: 1000 },
    'before AUTH': { ...submissions, lines: ['EHLO stalled.test'] },
    'in AUTH': { ...submissions, lines: ['EHLO stalled.test', 'AUTH LOGIN'] },
    [`before STARTTLS, at ${domain}`]: { ...submission, lines: ['EHLO stalled.test'] },
  }
}

async function allEnded(clients: { state: string; client: StalledClient }[]): Promise<void> {
  const open = (): string[] => clients.filter(({ client }) => client.end === null).map(({ state }) => state)
  await until(
    () => open().length === 0,
    ENDED_MS,
    () => `still connected: ${[...new Set(open())].join(', ')}`,
  )
}

/** The load goes on: so many more are accepted. */
async function served(load: Load, what: string): Promise<void> {
  const before = load.accepted()
  await until(
    () => load.accepted() >= before + SERVED || load.over(),
    SERVED_MS,
    () => `nobody is served beside ${what}: ${load.accepted() - before}`,
  )
}

const stallEverywhere: Fault = async (platform, load) => {
  const ready = platform.ready()
  const ca = await readFile(ready.ca, 'utf8')
  const clients = Object.entries(states(ready, ca)).flatMap(([state, options]) =>
    Array.from({ length: OF_EACH_STATE }, () => ({ state, client: stalledClient(options) })),
  )
  try {
    await Promise.all(clients.map(({ client }) => client.stalled))
    await served(load, 'clients that stall')
    await allEnded(clients)
    for (const { state, client } of clients) assert.match(client.end ?? '', TIMED_OUT, state)
  } finally {
    for (const { client } of clients) client.close()
  }
}

const halfOpen =
  (t: TestContext): Fault =>
  async (platform, load) => {
    const { host, ports } = platform.ready()
    const before = await memoryOf(platform, 'inbound')
    const clients: StalledClient[] = []
    try {
      for (let address = 2; clients.length < HALF_OPEN; address++) {
        const from = `127.0.0.${address}`
        const more = Array.from({ length: OF_ONE_ADDRESS }, () =>
          stalledClient({ host, port: ports['mx'] ?? 0, from, lines: [] }),
        )
        clients.push(...more)
        // More at once than the kernel queues for us, and it forgets some that wait for their greeting for ever.
        await Promise.all(more.map(({ stalled }) => stalled))
      }
      const open = clients.filter(({ end }) => end === null).length
      const after = await memoryOf(platform, 'inbound')
      t.diagnostic(`${open} connections: inbound ${(before / MIB).toFixed(0)}→${(after / MIB).toFixed(0)} MiB`)
      await served(load, `${HALF_OPEN} connections`)
      assert.ok(after - before < MOST_GROWTH)
      await allEnded(clients.map((client) => ({ state: 'silent', client })))
      assert.deepEqual(
        clients.map(({ end }) => end ?? '').filter((line) => !TIMED_OUT.test(line)),
        [],
      )
    } finally {
      for (const { close } of clients) close()
    }
  }

/** From one address: its bound is reached, and all others are served. */
const fromOneAddress: Fault = async (platform, load) => {
  const { host, ports } = platform.ready()
  const options = { host, port: ports['mx'] ?? 0, from: '127.0.0.200', lines: [] }
  const clients = Array.from({ length: FROM_ONE_ADDRESS }, () => stalledClient(options))
  try {
    await served(load, 'one client with too many connections')
    await allEnded(clients.map((client) => ({ state: 'silent', client })))
    const refused = clients.filter(({ end }) => end?.startsWith('421 4.7.0')).length
    assert.ok(refused >= clients.length - 101, `${refused} of ${clients.length} were refused`)
  } finally {
    for (const { close } of clients) close()
  }
}

const memoryOf = async (platform: Platform, instance: string): Promise<number> =>
  (await platform.memory())[instance] ?? 0

test('clients stall in every state, and 2,000 connections say nothing: others are served, the silent are told 421', async (t) => {
  const it = await platformUnderLoad(t, {
    SMTP_IDLE_TIMEOUT_MS: String(IDLE_MS),
    SMTP_MAX_CONNECTIONS: String(HALF_OPEN + 500),
    // Of this machine's addresses only the load's own is one of its proxies.
    SMTP_UNLIMITED_CLIENTS: '127.0.0.1',
  })
  const faults = Array.from({ length: ROUNDS }, () => [stallEverywhere, halfOpen(t), fromOneAddress]).flat()
  await keepPromises(t, it, { faults, messages: long ? 3000 : 800 })
})
