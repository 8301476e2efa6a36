/**
 * The clock of all services is set forward by an hour, back, and an hour back, while the bus, the stores and the rest of the world keep the time:
 * retries come when they should, leases hold, nobody is told of an expiry, nothing is lost.
 */
import assert from 'node:assert/strict'
import { globSync } from 'node:fs'
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'

import { storesOutside } from '../stores.ts'
import { keepPromises, long, platformUnderLoad, type Fault } from '../under-load.ts'

/** So long each clock is kept. */
const KEPT_MS = long ? 20_000 : 4000
const STEPS = long ? ['+1h', '+0', '-1h', '+0', '+1h', '-1h', '+0'] : ['+1h', '-1h', '+0']

interface Clock {
  env: Record<string, string>
  /** `+1h`, `-1h`, `+0`: how far from the true time. */
  set(offset: string): Promise<void>
}

/** libfaketime in every process of the start tool; the broker is linked statically and keeps the time. */
async function fakeClock(t: TestContext): Promise<Clock> {
  const [library] = globSync('/usr/lib/*/faketime/libfaketimeMT.so.1')
  if (library === undefined) assert.fail('libfaketime is missing: Debian has it as libfaketime')
  const dir = await mkdtemp(join(tmpdir(), 'postbus-clock-'))
  t.after(() => rm(dir, { recursive: true, force: true }))
  const file = join(dir, 'offset')
  const set = async (offset: string): Promise<void> => {
    await writeFile(`${file}.new`, `${offset}\n`)
    await rename(`${file}.new`, file)
  }
  await set('+0')
  return {
    set,
    env: {
      LD_PRELOAD: library,
      FAKETIME_TIMESTAMP_FILE: file,
      // Looked at each second; time-outs go by the monotonic clock, which no administrator sets.
      FAKETIME_CACHE_DURATION: '1',
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
    },
  }
}

test('the clock an hour fast, an hour slow, and right again: nothing is lost, early, expired or reported', async (t) => {
  const clock = await fakeClock(t)
  const it = await platformUnderLoad(t, {}, { env: clock.env, args: await storesOutside(t) })
  const faults = STEPS.map((offset): Fault => async () => {
    await clock.set(offset)
    await pause(KEPT_MS)
  })
  const { reports, twiceAtTheSink } = await keepPromises(t, it, { faults, messages: long ? 6000 : 700, before: 500 })
  assert.deepEqual([reports, twiceAtTheSink], [0, 0])
})
