/** Judgements of what a machine says of itself. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { judgeClock } from './clock.ts'
import { judgeDatabase } from './databases.ts'
import { judgeDisk } from './disk.ts'
import { examine } from './examine.ts'
import { error, exitStatus, type Finding, named, ok, unknown, warning } from './finding.ts'
import { judgeKeys } from './keys.ts'
import { judgeListeners } from './listeners.ts'
import { judgeOutbound } from './outbound.ts'
import { judgeSchedules } from './queue.ts'
import { judgeService } from './services.ts'
import { judgeSpool } from './spool.ts'

const GIB = 1024 ** 3
const DAY_MS = 24 * 3600_000
const levels = (...findings: Finding[]): string[] => findings.map(({ level }) => level)
const said = (findings: readonly Finding[]): string[] => findings.map(({ level, found }) => `${level}: ${found}`)

test('the exit status is that of the worst; what could not be looked at is neither well nor ill', () => {
  const one = [ok('a', 'b'), unknown('a', 'b')]
  assert.equal(exitStatus(one), 0)
  assert.equal(exitStatus([...one, warning('a', 'b', 'c')]), 1)
  assert.equal(exitStatus([...one, error('a', 'b', 'c'), warning('a', 'b', 'c')]), 2)
})

test('a check that cannot look is a finding, and stops no other; who waits is told of slow ones', async () => {
  const told: string[] = []
  const findings = await examine(
    [
      {
        name: 'one',
        look() {
          throw new Error('no permission')
        },
      },
      { name: 'two', slow: true, look: () => [ok('two', 'well')] },
    ],
    (name) => told.push(name),
  )
  assert.deepEqual(said(findings), ['unknown: could not be looked at: no permission', 'ok: well'])
  assert.deepEqual(told, ['two'])
  assert.equal(named(['a', 'b', 'c', 'd', 'e', 'f', 'g']), 'a, b, c, d, e and 2 more')
})

test('disk and inodes, by their share; a large disk has room at a few per cent', () => {
  const disk = (freeBytes: number, totalBytes: number, freeInodes = 50, totalInodes = 100) =>
    levels(...judgeDisk({ freeBytes, totalBytes, freeInodes, totalInodes }))
  assert.deepEqual(disk(20 * GIB, 100 * GIB), ['ok', 'ok'])
  assert.deepEqual(disk(10 * GIB, 100 * GIB, 4), ['warning', 'error'])
  assert.deepEqual(disk(GIB, 100 * GIB), ['error', 'ok'])
  assert.deepEqual(disk(200 * GIB, 10_000 * GIB), ['ok', 'ok'])
  assert.deepEqual(disk(20 * GIB, 100 * GIB, 0, 0), ['ok'])
})

test('a database that is damaged, and one whose log only grows', () => {
  const database = (problems: string[], logBytes = 0) => judgeDatabase('mailstore', { problems, bytes: GIB, logBytes })
  assert.equal(database([]).found, 'sound, 1024 MiB')
  assert.equal(database([], GIB).level, 'warning')
  const damaged = database(['row 3 missing', 'row 4 missing'])
  assert.deepEqual([damaged.level, damaged.found], ['error', 'damaged: row 3 missing (and 1 more)'])
})

test('a spool with damaged, unfinished or very old records', () => {
  const now = Date.now()
  const spool = (changes: object) =>
    said(judgeSpool({ ...{ records: 2, oldestAt: now - DAY_MS, damaged: [], unfinished: 0 }, ...changes }, now))
  assert.deepEqual(spool({}), ['ok: 2 records, the oldest 1 days, all readable'])
  assert.deepEqual(spool({ records: 0, oldestAt: null }), ['ok: 0 records, all readable'])
  assert.deepEqual(spool({ damaged: ['01J'], unfinished: 3, oldestAt: now - 9 * DAY_MS }), [
    'error: 1 damaged: 01J',
    'warning: 2 records, the oldest 9 days',
    'warning: 3 unfinished files older than a day',
  ])
})

test('clocks that differ, and a machine that follows no time server', () => {
  assert.deepEqual(levels(...judgeClock({ broker: 100, fileSystem: -100, synchronised: true })), ['ok', 'ok', 'ok'])
  assert.deepEqual(said(judgeClock({ broker: -3000, fileSystem: 61_000, synchronised: false })), [
    'warning: 3.0 s behind ours',
    'error: 61.0 s ahead of ours',
    'warning: not followed',
  ])
  assert.deepEqual(levels(...judgeClock({ broker: null, fileSystem: null, synchronised: null })), [
    ...['unknown', 'unknown', 'unknown'],
  ])
})

test('services, ports and secrets', () => {
  assert.deepEqual(
    levels(
      judgeService({ name: 'router', health: { ready: true, reasons: [] } }),
      judgeService({ name: 'router', health: { ready: false, reasons: ['not connected to the bus'] } }),
      judgeService({ name: 'router', health: null }),
    ),
    ['ok', 'warning', 'error'],
  )
  const listener = (refused: string | null) => ({ name: 'inbound INBOUND_PORT', address: '127.0.0.1:25', refused })
  assert.deepEqual(said(judgeListeners([listener(null), listener('ECONNREFUSED')])), [
    'error: inbound INBOUND_PORT: 127.0.0.1:25 ECONNREFUSED',
  ])
  assert.equal(judgeKeys([{ path: 'a.nk', mode: 0o100600 }]).level, 'ok')
  assert.equal(judgeKeys([{ path: 'a.nk', mode: 0o100640 }]).level, 'error')
})

test('port 25 that is shut, and retries that are late', () => {
  const outbound = (greeting: string | null, failure: string | null = null) =>
    judgeOutbound({ target: 'mx.test:25', greeting, failure }).level
  assert.deepEqual(
    [outbound('220 mx.test ESMTP'), outbound('554 no'), outbound(null, 'ECONNREFUSED')],
    ['ok', 'warning', 'warning'],
  )
  const now = Date.now()
  const site = (minutes: number) => ({
    site: 'far.test',
    nextAttemptAt: new Date(now + minutes * 60_000).toISOString(),
  })
  assert.equal(judgeSchedules([site(10), site(-10), { site: 'new.test' }], now).level, 'ok')
  assert.equal(judgeSchedules([site(10), site(-20)], now).level, 'warning')
})
