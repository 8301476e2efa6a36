import assert from 'node:assert/strict'
import { test } from 'node:test'

import fc from 'fast-check'

import { MAX_REPLY, readReply, replyText } from './reply.ts'

test('all lines of a reply are read as one', () => {
  const cases: [string, string, string | undefined, string][] = [
    ['550 5.1.1 nobody', '550', '5.1.1', '550 5.1.1 nobody'],
    [
      '421-4.7.28 an unusual\n421-4.7.28 rate\n421 4.7.28 of mail',
      '421',
      '4.7.28',
      '421 4.7.28 an unusual rate of mail',
    ],
    ['554-mx.far.test\n554-No SMTP service\n554 listed', '554', undefined, '554 mx.far.test No SMTP service listed'],
    ['550-first\n550 5.7.1 last', '550', '5.7.1', '550 5.7.1 first last'],
    ['550', '550', undefined, '550'],
    ['550 4.2.0 mixed up', '550', undefined, '550 4.2.0 mixed up'],
    ['5500 no code', '', undefined, '5500 no code'],
    ['', '', undefined, ''],
  ]
  for (const [text, code, status, line] of cases) assert.deepEqual(readReply(text), { code, status, line }, text)
})

test('whatever a peer sends is bounded, and can be printed', () => {
  assert.equal(replyText('250-one\r\n250 two\r\n'), '250-one\n250 two')
  assert.equal(replyText('550 \u001b[2Jcleared\u0000\u202eback'), '550 \ufffd[2Jcleared\ufffd\ufffdback')
  assert.equal(replyText('550 Größe überschritten'), '550 Größe überschritten')
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 3 * MAX_REPLY }), (raw) => {
      const text = replyText(raw)
      assert.ok(text.length <= MAX_REPLY && text.isWellFormed())
      assert.doesNotMatch(text, /[^\n\P{Cc}]/u)
    }),
  )
})
