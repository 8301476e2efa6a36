import assert from 'node:assert/strict'
import { test } from 'node:test'

import { NumberSet, parseSequenceSet } from '@postbus/imap-wire'
import fc from 'fast-check'

import { ImapError } from '../reply.ts'
import { Enabled } from './enabled.ts'
import { SelectedMailbox } from './selected-mailbox.ts'

const info = {
  ...{
    mailbox: 7,
    mailboxId: 'F7',
    name: 'INBOX',
    uidValidity: 1,
    uidNext: 1,
    highestModseq: 10,
    messages: 0,
    unseen: 0,
  },
  ...{ deleted: 0, size: 0, recent: 0, keywords: ['$Work'], specialUse: [], subscribed: true },
}
const selected = (uids: number[] = [], recentFrom = 1): SelectedMailbox =>
  new SelectedMailbox(info, NumberSet.from(uids), { recentFrom, readOnly: false, enabled: new Enabled() })
const resolve = (mailbox: SelectedMailbox, set: string, byUid: boolean): string =>
  mailbox.resolve(parseSequenceSet(set), byUid).toString()

const step = fc.oneof(
  fc.record({ kind: fc.constant('arrive' as const), count: fc.integer({ min: 1, max: 5 }) }),
  fc.record({ kind: fc.constant('expunge' as const), picks: fc.array(fc.nat(30), { maxLength: 6 }) }),
)

test('sequence numbers are those a client counts by the EXISTS and EXPUNGE it is told', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
      const mailbox = selected()
      const client: number[] = []
      let next = 1
      for (const step of steps) {
        if (step.kind === 'arrive') {
          const uids = Array.from({ length: step.count }, () => (next += 2))
          mailbox.arrive(NumberSet.from(uids), 1)
          client.push(...uids)
        } else {
          const gone = NumberSet.from(step.picks.map((pick) => pick + 1))
          for (const number of mailbox.expunge(gone).numbers) client.splice(number - 1, 1)
        }
        assert.deepEqual([...mailbox.uids], client)
        for (const [at, uid] of client.entries()) assert.equal(mailbox.sequenceNumber(uid), at + 1)
      }
    }),
  )
})

test('a part of a scattered mailbox is named by as few ranges as all of it', () => {
  const mailbox = selected([2, 4, 9, 12])
  const all = mailbox.resolve(parseSequenceSet('1:*'), true)
  assert.equal(mailbox.partOf(all, { text: '2:3', fromEnd: false, low: 2, high: 3 }).toString(), '4:9')
})

test('sets mean messages the client knows; what lies between them may be named along', () => {
  const mailbox = selected([2, 4, 9])
  assert.equal(resolve(mailbox, '1:2', false), '2:4')
  assert.equal(resolve(mailbox, '*', false), '9')
  assert.equal(resolve(mailbox, '3,1', false), '2,9')
  assert.equal(resolve(mailbox, '1:*', true), '2:9')
  assert.equal(resolve(mailbox, '100:*', true), '9')
  assert.equal(resolve(mailbox, '10:20', true), '')
  assert.equal(resolve(selected(), '1:*', true), '')
  for (const set of ['4', '1:4', '3:5,1']) assert.throws(() => resolve(mailbox, set, false), ImapError, set)
  // RFC 9051 §9 (seq-number): "*" in an empty mailbox.
  for (const set of ['*', '1', '1:*']) assert.throws(() => resolve(selected(), set, false), ImapError, set)
})

test('\\Recent is what no session was told of before this one', () => {
  const mailbox = selected([1, 2, 3], 3)
  assert.equal(mailbox.recent.toString(), '3')
  mailbox.arrive(NumberSet.from([4, 5]), 5)
  assert.equal(mailbox.recent.toString(), '3,5')
  assert.deepEqual([...mailbox.expunge(NumberSet.from([3, 99])).numbers], [3])
  assert.equal(mailbox.recent.toString(), '5')
})

test('a state that was told is not told again, and a later one is', () => {
  const mailbox = selected([1, 2])
  assert.ok(mailbox.knows(1, 10))
  assert.ok(!mailbox.knows(1, 11))
  mailbox.tell(1, 11)
  assert.ok(mailbox.knows(1, 11))
  assert.ok(!mailbox.knows(2, 11))
  assert.ok(!mailbox.knows(1, 12))
  mailbox.lookedUpTo(12, 3)
  assert.ok(mailbox.knows(2, 12))
})

test('a hint that says nothing new is no reason to look; one that comes during a look is', () => {
  const mailbox = selected([1])
  let rang = 0
  mailbox.onChange = () => rang++
  mailbox.lookedUpTo(12, 3)
  mailbox.hint(12, 3)
  assert.deepEqual([mailbox.changed, rang], [false, 0])
  mailbox.hint(13, 3)
  assert.deepEqual([mailbox.changed, rang], [true, 1])
  mailbox.beginLook()
  assert.ok(!mailbox.changed)
  mailbox.hint(14, 4)
  mailbox.lookedUpTo(13, 3)
  assert.ok(mailbox.changed)
})

test('a keyword is new once, in any case', () => {
  const mailbox = selected()
  assert.ok(!mailbox.learn(['\\Seen', '$WORK']))
  assert.ok(mailbox.learn(['$Junk']))
  assert.ok(!mailbox.learn(['$junk']))
  assert.deepEqual(mailbox.flags.slice(-2), ['$Work', '$Junk'])
})
