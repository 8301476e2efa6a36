/**
 * Two replicas of delivery, one of them killed (-9) again and again while mail flows to a Postfix: nothing is missing there. What
 * arrives twice is what a killed replica had handed over and not yet noted (RFC 1047): its first copy came at the moment of a kill.
 */
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'

import { smtpLoad } from '@postbus/testkit'

import { startPlatform, until } from '../platform.ts'
import { receivingPostfix } from '../postfix.ts'

const long = process.env['POSTBUS_TEST_LONG'] === '1'
const MESSAGES = long ? 5000 : 600
const BETWEEN_KILLS_MS = long ? 5000 : 2000
const MAX_KILLS = long ? Infinity : 3
/** A replica lives ten seconds in the long form, and begins with each site as with one it does not know. */
const SETTLE_MS = long ? 1_200_000 : 240_000
/** The Received field has whole seconds, and a killed process may have waited for Postfix's disk before. */
const WINDOW_MS = 5000

test('delivery killed again and again: nothing is missing, and only what was in hand comes twice', async (t) => {
  const postfix = await receivingPostfix(t, 'far.test')
  const settings = {
    DIRECTORY_MESSAGES_PER_HOUR: '100000',
    DIRECTORY_RECIPIENTS_PER_HOUR: '100000',
    DELIVERY_SMARTHOST: `127.0.0.1:${postfix.port}`,
    DELIVERY_ALLOW_PRIVATE: 'true',
    DELIVERY_LEASE_MS: '3000',
    DELIVERY_RETRY_FIRST_MS: '1000',
  }
  const set = Object.entries(settings).flatMap(([name, value]) => ['--set', `${name}=${value}`])
  const platform = await startPlatform(t, { args: ['--replicas', 'delivery=2', ...set] })
  const { host, ports, accounts, ca } = platform.ready()
  const [sender] = accounts
  if (sender === undefined) assert.fail('no account')

  let settled = false
  const loading = smtpLoad({
    host,
    port: ports['submissions'] ?? 0,
    recipients: Array.from({ length: 50 }, (_, index) => `user${index}@far.test`),
    login: { user: sender.address, password: sender.password, ca: await readFile(ca, 'utf8') },
    messages: MESSAGES,
    sessions: 8,
    bytes: 2000,
    ledger: null,
  })
  const kills: number[] = []
  const killing = (async () => {
    for (const victim of cycle('delivery', 'delivery-2')) {
      await pause(BETWEEN_KILLS_MS)
      if (settled || kills.length >= MAX_KILLS) return
      kills.push(Date.now())
      await platform.kill(victim)
    }
  })()

  const { promised } = await loading
  let copies = new Map<string, Date[]>()
  const missing = (): string[] => [...promised.keys()].filter((id) => !copies.has(id))
  try {
    await until(
      async () => {
        copies = byLoadId(await postfix.received())
        return missing().length === 0
      },
      SETTLE_MS,
      () => `missing: ${missing().length} of ${promised.size}\n${platform.output()}`,
    )
  } finally {
    settled = true
    await killing
  }
  await platform.untilReady()

  const twice = [...copies].filter(([, times]) => times.length > 1)
  const unexplained = twice.filter(([, times]) => {
    const first = Math.min(...times.map((time) => time.getTime()))
    return !kills.some((kill) => Math.abs(kill - first) <= WINDOW_MS)
  })
  t.diagnostic(
    `${promised.size} promised, ${kills.length} kills, missing 0, twice ${twice.length}, of them unexplained ${unexplained.length}`,
  )
  assert.equal(promised.size, MESSAGES)
  assert.deepEqual(unexplained, [])
})

function* cycle(...names: string[]): Iterable<string> {
  for (;;) yield* names
}

/** When Postfix received each copy, by the load's own id. */
function byLoadId(messages: readonly Buffer[]): Map<string, Date[]> {
  const copies = new Map<string, Date[]>()
  for (const message of messages) {
    const text = message.toString('latin1')
    const [, id] = /^X-Load-Id: (\S+)/m.exec(text) ?? []
    // Postfix writes the topmost Received field: its own.
    const [, date] = /^Received: [^;]+;\s*([^\r\n]+)/m.exec(text) ?? []
    assert.ok(id && date, text.slice(0, 500))
    copies.set(id, [...(copies.get(id) ?? []), new Date(date)])
  }
  return copies
}
