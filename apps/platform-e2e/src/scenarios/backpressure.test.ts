/**
 * What is downstream stands still while mail comes in: queues fill up to their bounds, clients are told 452 4.3.1, no process grows,
 * and everything arrives afterwards.
 */
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'

import { until, type Platform } from '../platform.ts'
import { keepPromises, long, platformUnderLoad, type Fault, type Load } from '../under-load.ts'

const MIB = 1024 ** 2
const FULL = /^452 4\.3\.1 /
/** However slowly bytes are stored. */
const REFUSED_MS = 240_000
/** So long it stays full, and memory is compared. */
const FULL_MS = long ? 30_000 : 3000
/** So many more are accepted before it is over. */
const GOES_ON = 300
/** What garbage collection leaves lying about. */
const MOST_GROWTH = 64 * MIB
const ROUNDS = long ? 3 : 1

/** Some hundreds of tasks each, and some hundreds more for everything together. */
const LIMITS = 'MAIL_ACCEPTED=98304,MAIL_LOCAL=98304'
const BUS_BYTES = String(320 * 1024)

const refused = (load: Load): number =>
  [...load.refusals()].reduce((sum, [line, count]) => (FULL.test(line) ? sum + count : sum), 0)

/** From the first 452 on nothing may grow. */
const standsStill =
  (t: TestContext, service: string): Fault =>
  async (platform, load) => {
    const before = refused(load)
    platform.freeze(service)
    try {
      await until(
        () => refused(load) > before,
        REFUSED_MS,
        () => `${service} stands still, and nobody is told to come again: ${load.accepted()} accepted`,
      )
      const then = await platform.memory()
      const accepted = load.accepted()
      await pause(FULL_MS)
      const growth = await growthSince(platform, then)
      t.diagnostic(
        `${service} stopped: ${accepted} accepted at the first 452, ${load.accepted()} at the end; ${growth.text}`,
      )
      assert.ok(growth.most < MOST_GROWTH, growth.text)
    } finally {
      platform.thaw(service)
    }
    const stopped = load.accepted()
    await until(
      () => load.accepted() >= stopped + GOES_ON,
      REFUSED_MS,
      () => `${service} works again, and still nothing is accepted: ${load.accepted()}`,
    )
  }

async function growthSince(platform: Platform, then: Record<string, number>): Promise<{ most: number; text: string }> {
  const now = await platform.memory()
  const mib = (bytes: number): string => (bytes / MIB).toFixed(0)
  const grown = Object.entries(now).map(([name, bytes]) => ({ name, bytes, by: bytes - (then[name] ?? bytes) }))
  return {
    most: Math.max(...grown.map(({ by }) => by)),
    text: `MiB in memory: ${grown.map(({ name, bytes, by }) => `${name} ${mib(bytes - by)}→${mib(bytes)}`).join(', ')}`,
  }
}

test('mailstore, then delivery, stand still under load: 452 at the bounds, memory stays, nothing is missing', async (t) => {
  const it = await platformUnderLoad(
    t,
    { CUSTODY_STREAM_MAX_BYTES: LIMITS, DELIVERY_LANE_IN_FLIGHT: '20' },
    { args: ['--bus-bytes', BUS_BYTES] },
  )
  const faults = Array.from({ length: ROUNDS }, () => [standsStill(t, 'mailstore'), standsStill(t, 'delivery')]).flat()
  // Some two thousand are taken before delivery's tasks fill what the bus has for all.
  await keepPromises(t, it, { faults, messages: long ? 12_000 : 4000, before: 100 })
})
