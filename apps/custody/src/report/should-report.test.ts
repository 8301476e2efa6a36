import assert from 'node:assert/strict'
import { test } from 'node:test'

import { entryOf, type QueueId, type Recipient, type Status } from '@postbus/contracts'

import { acceptedMessage, finalOf, keyOf, local, queueIdOf, statusOf } from '../../test/samples.ts'
import type { RecipientStatus } from '../tracking/order.ts'
import type { Tracked } from '../tracking/sheet.ts'
import { newsOf, type ReportKind, whyUnreported } from './should-report.ts'

const one = queueIdOf(1)
const told: QueueId = queueIdOf(2)
const status = (kind: Status['kind'], changes: object = {}) => statusOf(one, 'jones', kind, changes) as RecipientStatus
const listing = { original: 0, incarnation: 0, at: '2026-01-05T10:00:00Z', final: finalOf('jones', local) }
const trackedAs = (changes: Partial<Tracked>): Tracked => ({
  ...{ n: keyOf('jones'), listing, status: null, firstAttemptAt: null, report: null, delayReport: null },
  ...changes,
})

test('an end or a delay is news once; a hold, a rule’s end and somebody’s copy are none', () => {
  const merged = { ...listing, final: finalOf('jones', { kind: 'merged', into: keyOf('ann') }) }
  const cases: [Partial<Tracked>, ReportKind | null][] = [
    [{}, null],
    [{ status: status('failed') }, 'failure'],
    [{ status: status('expired') }, 'failure'],
    [{ status: status('failed'), report: told }, null],
    [{ status: status('failed'), delayReport: told }, 'failure'],
    [{ status: status('failed'), listing: null }, null],
    [{ status: status('failed'), listing: merged }, null],
    [{ status: status('deferred') }, 'delay'],
    [{ status: status('deferred'), delayReport: told }, null],
    [{ status: status('delivered') }, 'success'],
    [{ status: status('delivered'), report: told }, null],
    [{ status: status('relayed', { dsn: false }) }, 'success'],
    [{ status: status('relayed', { dsn: true }) }, null],
    ...(['discarded', 'cancelled', 'held', 'released', 'dead'] as const).map((kind): [Partial<Tracked>, null] => [
      { status: status(kind) },
      null,
    ]),
  ]
  for (const [changes, expected] of cases) assert.equal(newsOf(trackedAs(changes)), expected, JSON.stringify(changes))
})

test('NOTIFY decides, a null or broken reverse-path ends it, a list hears of its own failures', () => {
  const sender = 'smith@example.org'
  const owner = 'list-owner@example.org'
  const rows: [news: ReportKind, notify: Recipient['notify'], reversePath: string, reported: boolean][] = [
    ['failure', undefined, sender, true],
    ['delay', undefined, sender, true],
    ['success', undefined, sender, false],
    ...(['failure', 'delay', 'success'] as const).map((news): [ReportKind, Recipient['notify'], string, boolean] => [
      news,
      ['NEVER'],
      sender,
      false,
    ]),
    ['failure', ['FAILURE'], sender, true],
    ['delay', ['FAILURE'], sender, false],
    ['success', ['FAILURE'], sender, false],
    ['failure', ['SUCCESS', 'DELAY'], sender, false],
    ['delay', ['SUCCESS', 'DELAY'], sender, true],
    ['success', ['SUCCESS', 'DELAY'], sender, true],
    ['failure', ['NEVER'], owner, true],
    ['success', ['SUCCESS'], owner, false],
    ['failure', undefined, '', false],
    ['failure', ['FAILURE'], '', false],
    ['failure', undefined, 'nobody', false],
    ['failure', undefined, 'postmaster', false],
    ['failure', undefined, '@example.org', false],
    ['failure', undefined, 'a b@example.org', false],
  ]
  const entry = entryOf(acceptedMessage(one, ['jones@example.org']))
  for (const [news, notify, reversePath, reported] of rows) {
    const why = whyUnreported(news, { reversePath }, { notify }, entry)
    assert.equal(why === null, reported, `${news} ${notify?.join()} <${reversePath}>: ${why}`)
  }
})

test('a report is never reported on, whatever its envelope says', () => {
  const report = { ...entryOf(acceptedMessage(one, ['jones@example.org'])), origin: 'report' as const }
  assert.equal(whyUnreported('failure', { reversePath: 'smith@example.org' }, {}, report), 'it is a report itself')
})
