/**
 * The scale-out profile as `npm start -- --profile scale-out` gives it, and what a cluster must bear with mail coming in at a steady
 * pace: a rolling restart of everything, a broker that dies, a database that is away. Nothing is missing, nothing stands twice.
 */
import assert from 'node:assert/strict'
import { rename } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'

import { startPostgres } from '@postbus/testkit'

import type { Platform } from '../platform.ts'
import { keepPromises, long, platformUnderLoad, type Fault } from '../under-load.ts'

const PER_SECOND = 50
const AWAY_MS = long ? 20_000 : 3000
/** So many seconds of load, at least as long as the faults take. */
const LOAD_S = long ? 180 : 10

/** Processes, each once: several instances may share one. */
function processesOf({ pids }: ReturnType<Platform['ready']>): string[] {
  const first = new Map(Object.entries(pids).map(([name, pid]) => [pid, name]))
  return [...first.values()].filter((name) => name !== 'postgres' && name !== 's3')
}

/** Services, then brokers, one after the other, each ready before the next. */
async function restarted(platform: Platform): Promise<void> {
  for (const name of processesOf(platform.ready())) {
    await platform.terminate(name)
    await platform.untilReady()
  }
}

const brokerDies: Fault = (platform) => platform.kill('nats-2')

/** Its store is gone while it runs; then it is killed, and begins with nothing. */
const brokerLosesItsDisk: Fault = async (platform) => {
  const store = join(platform.ready().data, 'nats', 'nats-3')
  await rename(store, `${store}.lost`)
  await platform.kill('nats-3')
  await platform.untilReady()
}

test('50 messages a second while everything is restarted, a broker dies and the database is away: all arrive, once', async (t) => {
  const postgres = await startPostgres(t)
  const databaseAway: Fault = async () => {
    await postgres.stop()
    await pause(AWAY_MS)
    await postgres.start()
  }
  const it = await platformUnderLoad(
    t,
    {},
    { profile: 'scale-out', args: ['--postgres', postgres.url], processes: false },
  )
  const once = [brokerDies, databaseAway, restarted]
  const faults = long ? [...once, brokerLosesItsDisk, databaseAway, brokerDies, restarted] : once
  const facts = await keepPromises(t, it, { faults, perSecond: PER_SECOND, messages: PER_SECOND * LOAD_S })
  assert.equal(facts.missing, 0)
})
