import assert from 'node:assert/strict'
import { test } from 'node:test'

import { sortKeysOf } from './sort-keys.ts'

function keysOf(...lines: string[]) {
  const bytes = Buffer.from(`${lines.join('\r\n')}\r\n\r\n`)
  return sortKeysOf(bytes)
}

test('addresses are known by the mailbox of the first, shown by its name', () => {
  const keys = keysOf(
    'From: =?utf-8?q?J=C3=BCrgen?= <juergen@example.org>, Ann <ann@example.org>',
    'To: friends: a@b.example, c@d.example;',
    'Cc: Dan@example.org',
  )
  assert.deepEqual([keys.from, keys.displayFrom], ['JUERGEN', 'JU\u0308RGEN'])
  assert.deepEqual([keys.to, keys.displayTo], ['FRIENDS', 'FRIENDS'])
  assert.equal(keys.cc, 'DAN')
  const plain = keysOf('From: ann@example.org')
  assert.deepEqual([plain.from, plain.displayFrom, plain.to, plain.displayTo], ['ANN', 'ANN@EXAMPLE.ORG', '', ''])
})

test('an address with gaps is known by what ENVELOPE shows', () => {
  const keys = keysOf('From: Smith Jones', 'To: nobody', 'Cc: <>')
  assert.deepEqual([keys.from, keys.displayFrom], ['MISSING_MAILBOX', 'SMITH JONES'])
  assert.deepEqual([keys.to, keys.displayTo], ['NOBODY', 'NOBODY@MISSING_DOMAIN'])
  assert.equal(keys.cc, 'MISSING_MAILBOX')
})

test('the subject is its base, the date that of UTC', () => {
  const keys = keysOf('Subject: Re: [list] =?utf-8?q?caf=C3=A9?= (fwd)', 'Date: Mon, 1 Jun 2026 23:30:00 -0700')
  assert.deepEqual([keys.subject, keys.isReply], ['CAFE\u0301', true])
  assert.equal(keys.sentAt, Date.UTC(2026, 5, 2, 6, 30))
  assert.equal(keysOf('Date: yesterday').sentAt, null)
})

test('References, or the first of In-Reply-To, in one spelling', () => {
  const keys = keysOf(
    'Message-ID: <"a b"@x> junk',
    'References: <1@x> noise <"2"@x>\r\n <1@x> <no at sign> <3@x>',
    'In-Reply-To: <9@x>',
  )
  assert.deepEqual(keys.references, ['<1@x>', '<2@x>', '<3@x>'])
  assert.deepEqual(keysOf('References: <"a b"@x> <"c"@x> <d e@x>').references, ['<"a%20b"@x>', '<c@x>', '<de@x>'])
  assert.deepEqual(keysOf('References: none', 'In-Reply-To: <8@x> <9@x>').references, ['<8@x>'])
  assert.deepEqual([keysOf('Message-ID: none').messageId, keysOf('Message-ID: <1@x>').messageId], [null, '<1@x>'])
})

test('keys of a hostile header are bounded', () => {
  const ids = Array.from({ length: 900 }, (_, index) => `<${index}@x>`).join(' ')
  const keys = keysOf(`Subject: ${'ß'.repeat(5000)}`, `References: ${ids}`, `Message-ID: <${'a'.repeat(2000)}@x>`)
  assert.equal(keys.subject.length, 1000)
  assert.deepEqual([keys.references.length, keys.references.at(-1)], [100, '<899@x>'])
  assert.equal(keys.messageId, null)
})
