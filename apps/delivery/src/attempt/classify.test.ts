import assert from 'node:assert/strict'
import { test } from 'node:test'

import fc from 'fast-check'

import { classifier, type Verdict } from './classify.ts'
import { REPLY_TO, type ReplyTo } from './reply.ts'
import { REPLY_RULES, rulesFrom } from './reply-rules.ts'

const classify = classifier()

function brief(verdict: Verdict): string {
  if (verdict.kind === 'failed') return `failed ${verdict.status}`
  const { retry, site, crowded, status } = verdict
  return ['deferred', status, site, crowded && 'crowded', typeof retry === 'number' ? `${retry / 1000} s` : retry]
    .filter(Boolean)
    .join(' ')
}

/** Reply to what, its text, the verdict, the row that decides; without a row the first digit does. */
const cases: [ReplyTo, string, string, string?][] = [
  ['RCPT', '550 5.1.1 nobody', 'failed 5.1.1'],
  ['RCPT', '550 nobody', 'failed 5.0.0'],
  ['RCPT', '550-5.7.26 not\n550 5.7.26 authenticated', 'failed 5.7.26'],
  ['RCPT', '451 local error in processing', 'deferred 4.0.0'],
  ['DATA', '554 5.6.0 no', 'failed 5.6.0'],
  ['DATA', '552 message too large', 'failed 5.0.0'],
  ['DATA', '552 5.3.4 message size exceeds fixed limit', 'failed 5.3.4'],
  ['MAIL', '530 5.7.0 authenticate first', 'failed 5.7.0'],
  // The code decides, not an enhanced status of another class — RFC 3463 §2.
  ['RCPT', '550 4.2.0 mixed up', 'failed 5.0.0'],
  ['RCPT', '450 5.1.1 mixed up', 'deferred 4.0.0'],
  // What is no reply at all, or none that was to be expected, says nothing for good.
  ['RCPT', '5xx what', 'deferred 4.0.0'],
  ['DATA', 'Connection closed unexpectedly', 'deferred 4.0.0'],
  ['RCPT', '', 'deferred 4.0.0'],
  ['RCPT', '354 go ahead', 'deferred 4.0.0'],
  ['DATA', '499 4.9.9 never heard of', 'deferred 4.9.9'],
  ['DATA', '5500 5.1.1 four digits', 'deferred 4.0.0'],

  ['RCPT', '452 4.5.3 too many', 'deferred 4.5.3 crowded', 'too many recipients'],
  ['RCPT', '452 too many', 'deferred 4.0.0 crowded', 'too many recipients'],
  ['RCPT', '552 too many recipients', 'deferred 4.0.0 crowded', 'too many recipients'],
  ['RCPT', '552 5.5.3 too many recipients', 'deferred 4.5.3 crowded', 'too many recipients'],
  ['DATA', '452 4.5.3 too many recipients', 'deferred 4.5.3'],
  ['RCPT', '450 4.5.3 too many recipients', 'deferred 4.5.3'],
  ['RCPT', '452 4.3.1 no disk', 'deferred 4.3.1'],
  ['RCPT', '550 5.1.1 <greylist.fan@far.test>: Recipient address rejected: User unknown', 'failed 5.1.1'],
  ['RCPT', '550 throttle@far.test unknown', 'failed 5.0.0'],
  ['RCPT', '550 5.1.1 <rate-limit@far.test> unknown', 'failed 5.1.1'],
  ['RCPT', '552 5.2.2 mailbox full', 'failed 5.2.2', 'mailbox full'],
  [
    'RCPT',
    '552-5.2.2 over quota, ask them to make room\n552 5.2.2 and try again later',
    'failed 5.2.2',
    'mailbox full',
  ],
  ['RCPT', '452 4.2.2 mailbox full', 'deferred 4.2.2'],
  [
    'RCPT',
    '450-4.2.1 The user you write to is receiving mail at a rate that\n450 4.2.1 prevents more',
    'deferred 4.2.1',
    'recipient gets too much',
  ],
  [
    'RCPT',
    '421 4.7.1 Messages to ann@far.test deferred, excessive volume',
    'deferred 4.7.1',
    'recipient gets too much',
  ],

  ['RCPT', '450 4.2.0 <ann@far.test>: Recipient address rejected: Greylisted', 'deferred 4.2.0 soon', 'greylisting'],
  ['RCPT', '450 4.7.1 Greylisted for 300 seconds (see http://far.test/)', 'deferred 4.7.1 300 s', 'greylisting'],
  ['RCPT', '451 4.7.1 Greylisting in action, please come back in 00:09:00', 'deferred 4.7.1 540 s', 'greylisting'],
  ['DATA', '451 Graylisted: please try again after 2 minutes', 'deferred 4.0.0 120 s', 'greylisting'],
  ['RCPT', '550 5.7.1 you are grey-listed', 'deferred 4.7.1 soon', 'greylisting'],
  ['session', '421 greylisted, come back', 'deferred 4.0.0 soon', 'greylisting'],
  ['RCPT', '451 4.7.1 Try again later', 'deferred 4.7.1 soon', 'try again'],
  ['DATA', '451 Temporary failure, please try again in 5 min', 'deferred 4.0.0 300 s', 'try again'],

  ['DATA', '421-4.7.28 mail from your address was\n421 4.7.28 rate limited', 'deferred 4.7.28 busy', 'Gmail rate'],
  ['MAIL', '451 4.7.500 Server busy. Please try again later (S77714)', 'deferred 4.7.500 busy', 'Microsoft throttling'],
  ['MAIL', '451 4.7.650 The mail server has been limited', 'deferred 4.7.650 busy', 'Microsoft throttling'],
  ['session', '421 RP-001 (SNT004) over the limit', 'deferred 4.0.0 busy', 'outlook.com rate'],
  ['MAIL', '421 4.7.0 [TSS04] Messages from 192.0.2.1 temporarily deferred', 'deferred 4.7.0 busy', 'Yahoo deferral'],
  ['session', '421 4.7.1 [TS03] All messages deferred', 'deferred 4.7.1 busy', 'Yahoo deferral'],
  ['session', '421-mxgmx.test\n421 Reject due to policy violations', 'deferred 4.0.0 busy', 'United Internet policy'],
  ['MAIL', '421 4.2.0 far.test RL000001 exceeded', 'deferred 4.2.0 busy', 'Comcast rate'],
  ['session', '421 Service refused, OFR_999', 'deferred 4.0.0 busy', 'Orange rate'],
  ['RCPT', '451 4.4.5 system congestion', 'deferred 4.4.5 busy', 'congestion'],
  [
    'session',
    '421 4.7.0 far.test Error: too many connections from 192.0.2.1',
    'deferred 4.7.0 busy',
    'too many at once',
  ],
  ['MAIL', '554 5.7.1 too many concurrent SMTP connections', 'deferred 4.7.1 busy', 'too many at once'],
  ['session', '421 4.3.2 Connection rate limit exceeded', 'deferred 4.3.2 busy', 'too many at once'],
  ['MAIL', '450 4.7.1 Rate limit reached, wait 60 seconds', 'deferred 4.7.1 busy 60 s', 'too much in this time'],
  ['DATA', '550 too many messages', 'deferred 4.0.0 busy', 'too much in this time'],

  ['session', '521 5.3.2 no mail here', 'failed 5.3.2', 'host takes no mail'],
  ['MAIL', '503 5.5.1 nested MAIL', 'deferred 4.5.1', 'out of step'],
  ['MAIL', '530 5.7.0 Must issue a STARTTLS command first', 'deferred 4.7.0', 'TLS wanted'],
  ['MAIL', '552 5.3.1 disk full', 'deferred 4.3.1 trouble', 'host not fit for mail'],
  ['RCPT', '550 5.4.3 directory failure', 'deferred 4.4.3', 'routing not to be had'],
  [
    'RCPT',
    '550 5.7.1 blocked for now, try again in 2 hours',
    'deferred 4.7.1 7200 s',
    'permanent by digit, temporary by word',
  ],
  ['MAIL', '554 5.7.1 temporarily rejected', 'deferred 4.7.1', 'permanent by digit, temporary by word'],
  ['RCPT', '550 5.1.1 nobody here, try again', 'failed 5.1.1'],
  ['RCPT', '554 5.7.1 Service unavailable; Client host blocked using a list', 'failed 5.7.1', 'blocklist'],

  // Nothing said before MAIL is about the message: the next host, or later.
  ['session', '554 5.3.2 go away', 'deferred 4.3.2 trouble', 'no session'],
  ['session', '554-far.test\n554 IP address is block listed', 'deferred 4.0.0 trouble', 'no session'],
  ['session', '535 5.7.8 wrong password', 'deferred 4.7.8 trouble', 'no session'],
  ['session', '450 4.3.2 not now', 'deferred 4.3.2 trouble', 'no session'],
  ['session', '250 hello', 'deferred 4.0.0 trouble', 'no session'],
  ['session', '421 4.3.2 later', 'deferred 4.3.2 trouble', 'closing'],
  ['RCPT', '421 4.3.2 closing', 'deferred 4.3.2 trouble', 'closing'],
  ['MAIL', '452 4.3.1 Insufficient system storage', 'deferred 4.3.1 trouble', 'host has no room'],
]

test('a reply is permanent only where it clearly says so about this recipient or message', () => {
  for (const [to, text, expected, rule] of cases) {
    const verdict = classify({ to, text }, 'mx.far.test')
    assert.deepEqual([brief(verdict), verdict.rule], [expected, rule], `${to}: ${text}`)
  }
})

test('every row decides a case of this table, so none is dead', () => {
  const deciding = new Set(cases.map(([, , , rule]) => rule))
  assert.deepEqual(
    REPLY_RULES.map(({ name }) => name).filter((name) => !deciding.has(name)),
    [],
  )
})

test('whatever a peer says, 4yz and no reply at all never fail a recipient', () => {
  const words = fc.string({ unit: 'binary', maxLength: 300 })
  const code = fc.oneof(fc.integer({ min: 400, max: 499 }).map(String), fc.constant(''))
  fc.assert(
    fc.property(fc.constantFrom(...REPLY_TO), code, words, (to, code, said) => {
      const text = code ? `${code} ${said}` : `x${said}`
      assert.equal(classify({ to, text }, 'mx.far.test').kind, 'deferred')
    }),
  )
})

test('a row of the operator comes first, for the host it names', () => {
  const own = rulesFrom(
    JSON.stringify([
      { name: 'their 550 when busy', host: '.far.test', to: ['RCPT'], pattern: '^550 .*not now', means: 'soon' },
      {
        name: 'gone for good',
        pattern: '^450 4\\.2\\.1 .*closed account',
        means: 'failed',
        why: 'they said so by phone',
      },
      { name: 'listed', to: ['session'], pattern: '^554 .*listed', means: 'failed' },
    ]),
  )
  const decide = (to: ReplyTo, text: string, host = 'mx1.FAR.test') => brief(classifier(own)({ to, text }, host))
  assert.equal(decide('RCPT', '550 5.7.1 Not now'), 'deferred 4.7.1 soon')
  assert.equal(decide('RCPT', '550 5.7.1 Not now', 'mx.away.test'), 'failed 5.7.1')
  assert.equal(decide('DATA', '550 5.7.1 Not now'), 'failed 5.7.1')
  assert.equal(decide('RCPT', '450 4.2.1 a closed account'), 'failed 5.2.1')
  assert.equal(decide('session', '554 5.7.1 listed'), 'failed 5.7.1')
})

test('a row that cannot be used is named', () => {
  const good = { name: 'a', pattern: 'x', means: 'soon' }
  const bad: [unknown, RegExp][] = [
    ['{', /not JSON/],
    [good, /expected array/],
    [[good, { ...good, pattern: '(' }], /row 2: pattern: .*regular expression/i],
    [[{ ...good, means: 'maybe' }], /row 1: means: /],
    [[{ ...good, to: ['HELO'] }], /row 1: to\.0: /],
    [[{ ...good, patern: 'x' }], /row 1: .*patern/],
  ]
  for (const [rows, words] of bad) {
    assert.throws(() => rulesFrom(typeof rows === 'string' ? rows : JSON.stringify(rows)), words)
  }
})
