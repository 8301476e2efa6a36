/**
 * Disks that are full: the spool's, the bus's, that of the databases. Clients are told 452 4.3.1 or to come again,
 * what was accepted arrives, and everything goes on by itself when there is room again.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'

import { isEmbeddedOnly, until } from '../platform.ts'
import { keepPromises, long, platformUnderLoad, type Fault } from '../under-load.ts'

const MIB = 1024 ** 2
const FULL_MS = long ? 15_000 : 4000
const FILL_AGAIN_MS = 50
const REFUSED_MS = 180_000
const ANEW_MS = 60_000
const ROUNDS = long ? 3 : 1

const FULL = /^452 4\.3\.1 /

/** Nothing can be written there for a while, whatever is given back meanwhile. */
async function full(platform: Parameters<Fault>[0], path: string, noticed: () => boolean): Promise<void> {
  const disk = platform.disk(path)
  const begun = performance.now()
  try {
    while (performance.now() - begun < FULL_MS || !noticed()) {
      if (performance.now() - begun > REFUSED_MS) assert.fail(`nobody noticed that ${path} is full`)
      disk.fill()
      await pause(FILL_AGAIN_MS)
    }
  } finally {
    await disk.empty()
  }
}

const fullSpool: Fault = async (platform, load) => {
  const refused = (): number => sum(load.refusals(), FULL)
  const before = refused()
  await full(platform, 'spool', () => refused() > before)
}

/** It says nothing to publishers then, and takes nothing more before it is started anew. */
const fullBroker: Fault = async (platform) => {
  const told = (): number => platform.output().split('nats could not write').length
  const before = told()
  const log = join(platform.ready().data, 'logs', 'nats.log')
  const errors = (): number => readFileSync(log, 'utf8').split('critical write error').length
  const seen = errors()
  await full(platform, 'nats', () => errors() > seen)
  await until(
    () => told() > before,
    ANEW_MS,
    () => 'the broker was not started anew',
  )
}

const fullDatabases: Fault = (platform) => full(platform, 'db', () => true)

const sum = (refusals: ReadonlyMap<string, number>, line: RegExp): number =>
  [...refusals].reduce((all, [text, count]) => (line.test(text) ? all + count : all), 0)

test('a full disk, of the spool, the bus or the databases: 452, then on by itself; nothing is missing, none stands twice', async (t) => {
  if (isEmbeddedOnly(t, 'its disks hold SQLite and the local spool')) return
  // No reserve: the disk itself has to say no.
  const settings = { SPOOL_MIN_FREE_BYTES: '0' }
  const it = await platformUnderLoad(t, settings, { disks: { spool: 64 * MIB, db: 96 * MIB, nats: 64 * MIB } })
  const faults = Array.from({ length: ROUNDS }, () => [fullSpool, fullBroker, fullDatabases]).flat()
  const { twiceAtTheSink } = await keepPromises(t, it, { faults, messages: long ? 3000 : 800 })
  // The ledger's disk was full too: what it could not note must not be sent again and again.
  assert.equal(twiceAtTheSink, 0)
})
