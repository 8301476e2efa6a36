import assert from 'node:assert/strict'
import { test } from 'node:test'

import { meansTooMany, type PeerReply, verdictOf } from './reply.ts'

const cases: [PeerReply['to'], string, string][] = [
  ['RCPT', '550 5.1.1 nobody', 'failed 5.1.1'],
  ['RCPT', '550-5.7.26 not\n550 5.7.26 authenticated', 'failed 5.7.26'],
  ['RCPT', '550 nobody', 'failed 5.0.0'],
  ['RCPT', '450 4.2.0 greylisted', 'deferred 4.2.0'],
  ['RCPT', '451 busy', 'deferred 4.0.0'],
  // The code decides, not an enhanced status of another class — RFC 3463 §2.
  ['RCPT', '550 4.2.0 mixed up', 'failed 5.0.0'],
  ['RCPT', '450 5.1.1 mixed up', 'deferred 4.0.0'],
  // RFC 5321 §4.5.3.1.10.
  ['RCPT', '552 too many recipients', 'deferred 4.0.0'],
  ['RCPT', '552 5.5.3 too many recipients', 'deferred 4.0.0'],
  ['RCPT', '552 5.2.2 mailbox full', 'failed 5.2.2'],
  ['DATA', '552 message too large', 'failed 5.0.0'],
  ['DATA', '554 5.6.0 no', 'failed 5.6.0'],
  ['MAIL', '530 5.7.0 authenticate first', 'failed 5.7.0'],
  // Nothing said before MAIL is about the message: the next host, or later.
  ['session', '554 5.3.2 go away', 'deferred 4.0.0'],
  ['session', '421 4.3.2 later', 'deferred 4.3.2'],
  // What is no reply at all says nothing for good.
  ['RCPT', '5xx what', 'deferred 4.0.0'],
  ['DATA', 'Connection closed unexpectedly', 'deferred 4.0.0'],
  ['RCPT', '', 'deferred 4.0.0'],
]
test('a reply is permanent only where it clearly says so about this recipient or message', () => {
  for (const [to, text, verdict] of cases) {
    const { kind, status } = verdictOf({ to, text })
    assert.equal(`${kind} ${status}`, verdict, `${to}: ${text}`)
  }
})

test('too many recipients is told from a full mailbox', () => {
  const many = ['452 4.5.3 too many', '452 too many', '552 5.5.3 too many', '552 too many']
  const others = ['452 4.2.2 full', '452 4.3.1 disk', '450 4.5.3 no', '552 5.2.2 full', '250 ok']
  assert.deepEqual(
    many.filter((text) => !meansTooMany({ to: 'RCPT', text })),
    [],
  )
  assert.deepEqual(
    others.filter((text) => meansTooMany({ to: 'RCPT', text })),
    [],
  )
})
