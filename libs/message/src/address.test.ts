import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type AddressGroup, type MailboxAddress, parseAddressList, readAddressList } from './address.ts'

const mailbox = (name: string | undefined, localPart: string, domain: string): MailboxAddress =>
  name === undefined ? { kind: 'mailbox', localPart, domain } : { kind: 'mailbox', name, localPart, domain }

const EXAMPLES: [value: string, addresses: (MailboxAddress | AddressGroup)[]][] = [
  // RFC 5322 A.1
  ['John Doe <jdoe@machine.example>', [mailbox('John Doe', 'jdoe', 'machine.example')]],
  ['"Joe Q. Public" <john.q.public@example.com>', [mailbox('Joe Q. Public', 'john.q.public', 'example.com')]],
  [
    'Mary Smith <mary@x.test>, jdoe@example.org, Who? <one@y.test>',
    [
      mailbox('Mary Smith', 'mary', 'x.test'),
      mailbox(undefined, 'jdoe', 'example.org'),
      mailbox('Who?', 'one', 'y.test'),
    ],
  ],
  [
    '<boss@nil.test>, "Giant; \\"Big\\" Box" <sysservices@example.net>',
    [mailbox(undefined, 'boss', 'nil.test'), mailbox('Giant; "Big" Box', 'sysservices', 'example.net')],
  ],
  [
    'A Group:Ed Jones <c@a.test>,joe@where.test,John <jdoe@one.test>;',
    [
      {
        kind: 'group',
        name: 'A Group',
        members: [
          mailbox('Ed Jones', 'c', 'a.test'),
          mailbox(undefined, 'joe', 'where.test'),
          mailbox('John', 'jdoe', 'one.test'),
        ],
      },
    ],
  ],
  ['Undisclosed recipients:;', [{ kind: 'group', name: 'Undisclosed recipients', members: [] }]],
  // A.5
  ['Pete(A nice \\) chap) <pete(his account)@silly.test(his host)>', [mailbox('Pete', 'pete', 'silly.test')]],
  [
    "A Group(Some people)\t:Chris Jones <c@(Chris's host.)public.example>, joe@example.org, John <jdoe@one.test> (my dear friend); (the end of the group)",
    [
      {
        kind: 'group',
        name: 'A Group',
        members: [
          mailbox('Chris Jones', 'c', 'public.example'),
          mailbox(undefined, 'joe', 'example.org'),
          mailbox('John', 'jdoe', 'one.test'),
        ],
      },
    ],
  ],
  [
    '(Empty list)(start)Hidden recipients  :(nobody(that I know))  ;',
    [{ kind: 'group', name: 'Hidden recipients', members: [] }],
  ],
  // A.6.1
  ['Joe Q. Public <john.q.public@example.com>', [mailbox('Joe Q. Public', 'john.q.public', 'example.com')]],
  [
    'Mary Smith <@node.test:mary@example.net>, , jdoe@test  . example',
    [
      { kind: 'mailbox', name: 'Mary Smith', route: '@node.test', localPart: 'mary', domain: 'example.net' },
      { kind: 'mailbox' },
      mailbox(undefined, 'jdoe', 'test.example'),
    ],
  ],
  // A.6.3
  ['John Doe <jdoe@machine(comment).  example>', [mailbox('John Doe', 'jdoe', 'machine.example')]],
  ['jdoe@[192.0.2.1]', [mailbox(undefined, 'jdoe', '[192.0.2.1]')]],
  ['Jörg <jörg@müller.example>', [mailbox('Jörg', 'jörg', 'müller.example')]],
  ['', []],
  // What is broken, as Dovecot shows it: a word that stands alone is a local part, more than that a name.
  ['? ""', [{ kind: 'mailbox', localPart: '?' }]],
  ['a . ', [{ kind: 'mailbox' }]],
  ['=?utf-8?q?n?=. smith', [{ kind: 'mailbox', name: '=?utf-8?q?n?=.  smith' }]],
  ['smith "J" "open', [{ kind: 'mailbox', name: 'smith J ' }]],
  ['smith (c) (open', [{ kind: 'mailbox' }]],
  ['Smith "fold\r\ned" jones', [{ kind: 'mailbox', name: 'Smith folded jones' }]],
  ['"smith"\r\n (up to\r\n a fold', [{ kind: 'mailbox', name: 'up to' }]],
  ['<a@b.>, c@d', [{ kind: 'mailbox', localPart: 'a', syntaxError: true }]],
  ['<a.>, c@d', [{ kind: 'mailbox', syntaxError: true }]],
  ['Smith <smith@example.org> (open', [{ kind: 'mailbox', name: 'Smith', localPart: 'smith', syntaxError: true }]],
  ['"fold\\\r\n ed"@example.org', [mailbox(undefined, 'fold\\ ed', 'example.org')]],
  ['smith@[192.0\r\n.2.1]', [mailbox(undefined, 'smith', '[192.0.2.1]')]],
]

for (const [value, addresses] of EXAMPLES) {
  test(`addresses of ${JSON.stringify(value)}`, () => assert.deepEqual(parseAddressList(value), addresses))
}

test('a list that was not understood to its end says so', () => {
  const complete = (value: string): boolean => readAddressList(value).complete
  assert.ok(complete('a@example.org'))
  assert.ok(complete('A <a@example.org> (comment), "b c"@example.org'))
  assert.ok(complete('Group: a@example.org;'))
  for (const value of [
    'a@example.org b@example.net',
    'a@example.org; b@example.net',
    '<a@example.org> <b@example.net>',
    'a@example.org (',
    '"a@example.org',
    'a@example.org, (',
    'a@example.org, x <b@example.net',
    'a',
    'A <>',
    '<@x@y>',
  ]) {
    assert.ok(!complete(value), value)
  }
})

test('any characters give a list, and no address is longer than the input', () => {
  const piece = fc.constantFrom(
    'a',
    'b',
    ' ',
    '@',
    '.',
    ',',
    ';',
    ':',
    '<',
    '>',
    '(',
    ')',
    '"',
    '\\',
    '[',
    ']',
    '\r\n',
    'é',
  )
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 30 }), (pieces) => {
      const value = pieces.join('')
      const count = parseAddressList(value).length
      assert.ok(count <= value.length)
    }),
    { numRuns: 2000 },
  )
})

test('a megabyte of anything takes time in proportion to its size', () => {
  const started = performance.now()
  for (const unit of [
    '(',
    '(()',
    '"',
    '\\',
    '<',
    '@a,',
    '<@',
    'a:',
    'a,',
    'a b ',
    '.',
    'a.',
    '"a" ',
    '[',
    'a@',
    '<a@b>,',
    ';',
    '"\\',
  ]) {
    parseAddressList(unit.repeat((1 << 20) / unit.length))
  }
  assert.ok(performance.now() - started < 20_000)
})
