import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { BusReport, ConsumerReport, StreamReport } from '@postbus/bus'

import { judgeBus } from './bus.ts'

const NOW = Date.parse('2026-01-05T12:00:00Z')
const consumer = (name: string, changes: Partial<ConsumerReport> = {}): ConsumerReport => ({
  ...{ name, missing: false, differs: [], pending: 0, inHand: 0, redelivered: 0, pulls: 1 },
  ...{ lastDeliveredAt: null, lastAckAt: null },
  ...changes,
})
const stream = (name: string, consumers: ConsumerReport[], changes: Partial<StreamReport> = {}): StreamReport => ({
  ...{ name, missing: false, differs: [], messages: 0, bytes: 0, maxBytes: null, firstAt: null, consumers },
  ...changes,
})
const report = (streams: StreamReport[], changes: Partial<BusReport> = {}): BusReport => ({
  ...{ server: { name: 'nats', version: '2.15.1' }, roundTripMs: 1, time: null },
  ...{ storage: { bytes: 10, maxBytes: 1000 }, streams },
  ...changes,
})
const well = [
  stream('MAIL_LOCAL', [consumer('mailstore')]),
  stream('MAIL_OUT_0', [consumer('lane-00'), consumer('lane-01')]),
  stream('MAIL_STATUS', [consumer('custody')]),
  stream('MAIL_DEAD', []),
]

/** What is not well, as `check level: found`. */
const ill = (streams: StreamReport[], changes: Partial<BusReport> = {}): string[] =>
  judgeBus(report(streams, changes), NOW)
    .filter(({ level }) => level !== 'ok')
    .map(({ check, level, found }) => `${check} ${level}: ${found}`)

/** One of the streams replaced. */
const but = (changed: StreamReport): StreamReport[] => well.map((one) => (one.name === changed.name ? changed : one))

test('a bus on which all is there and everything is read is well', () => {
  assert.deepEqual(ill(well), [])
})

test('an old server, a slow one, one without a limit and one that is nearly full are told', () => {
  assert.deepEqual(ill(well, { server: { name: '', version: '2.14.9' } }), [
    'bus error: nats-server 2.14.9, answers in 1.0 ms',
  ])
  for (const version of ['2.15.1', '2.15.2-RC.1', '2.16.0', '3.0.0']) {
    assert.deepEqual(ill(well, { server: { name: '', version } }), [])
  }
  assert.deepEqual(ill(well, { roundTripMs: 250 }), ['bus warning: nats-server 2.15.1, answers in 250.0 ms'])
  assert.deepEqual(ill(well, { storage: { bytes: 1, maxBytes: null } }), ['bus storage warning: without a limit'])
  assert.deepEqual(ill(well, { storage: { bytes: 800, maxBytes: 1000 } }), [
    'bus storage warning: 80 % of what it may take',
  ])
  assert.deepEqual(ill(well, { storage: { bytes: 960, maxBytes: 1000 } }), [
    'bus storage error: 96 % of what it may take',
  ])
  assert.deepEqual(ill(but(stream('MAIL_LOCAL', [consumer('mailstore')], { bytes: 99, maxBytes: 100 }))), [
    'MAIL_LOCAL error: 99 % full',
  ])
})

test('what is missing and what was changed is named', () => {
  assert.deepEqual(ill(but(stream('MAIL_DEAD', [], { missing: true }))), ['streams error: missing: MAIL_DEAD'])
  const changed = consumer('mailstore', { differs: ['max_deliver'] })
  assert.deepEqual(ill(but(stream('MAIL_LOCAL', [changed]))), [
    'consumers error: not as they should be: MAIL_LOCAL/mailstore (max_deliver)',
  ])
})

test('work nobody reads is an error; a reader that is merely absent a warning', () => {
  const absent = { pulls: 0, inHand: 0 }
  assert.deepEqual(ill(but(stream('MAIL_LOCAL', [consumer('mailstore', { ...absent, pending: 7 })]))), [
    'MAIL_LOCAL readers error: 7 waiting, and nobody reads',
  ])
  assert.deepEqual(ill(but(stream('MAIL_LOCAL', [consumer('mailstore', absent)]))), [
    'MAIL_LOCAL readers warning: nobody reads',
  ])
  // One that has its hands full asks for no more.
  assert.deepEqual(ill(but(stream('MAIL_LOCAL', [consumer('mailstore', { pulls: 0, inHand: 5, pending: 9 })]))), [])
  assert.deepEqual(ill(but(stream('MAIL_STATUS', [consumer('custody', absent)]))), ['books warning: no custody leads'])
  const lanes = [consumer('lane-00', absent), consumer('lane-01', { ...absent, pending: 1 })]
  assert.deepEqual(ill(but(stream('MAIL_OUT_0', lanes))), ['lanes error: mail waits and nobody owns lane-01'])
  assert.deepEqual(ill(but(stream('MAIL_OUT_0', [consumer('lane-00', absent), consumer('lane-01')]))), [
    'lanes warning: nobody owns lane-00',
  ])
})

test('old work and dead letters are told; retries and held mail may lie', () => {
  const hourAgo = { messages: 3, firstAt: '2026-01-05T11:00:00Z' }
  assert.deepEqual(ill(but(stream('MAIL_LOCAL', [consumer('mailstore')], hourAgo))), [
    'MAIL_LOCAL age warning: the oldest of 3 messages is 60 minutes old',
  ])
  assert.deepEqual(ill(but(stream('MAIL_OUT_0', [consumer('lane-00')], hourAgo))), [])
  assert.deepEqual(ill(but(stream('MAIL_DEAD', [], hourAgo))), ['dead letters warning: 3 waiting'])
})
