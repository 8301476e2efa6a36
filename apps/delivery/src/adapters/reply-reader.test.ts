import assert from 'node:assert/strict'
import { test } from 'node:test'

import fc from 'fast-check'

import { MAX_REPLY_OCTETS, NoReply, ReplyReader } from './reply-reader.ts'

const read = (...chunks: string[]): string[] => {
  const reader = new ReplyReader()
  return chunks.flatMap((chunk) => reader.next(Buffer.from(chunk)))
}

test('replies are whole ones, of one line or several', () => {
  assert.deepEqual(read('250 ok\r\n'), ['250 ok'])
  assert.deepEqual(read('250\r\n354 go\n'), ['250', '354 go'])
  assert.deepEqual(read('550-5.1.1 no\r\n550-\r\n550 5.1.1 such user\r\n'), ['550-5.1.1 no\n550-\n550 5.1.1 such user'])
  assert.deepEqual(read('250 o', 'k\r', '\n250-a\r\n', '250 b'), ['250 ok'])
})

test('what is no reply is no answer', () => {
  for (const line of [
    '',
    'what is this',
    '2 not a code',
    '2026 disk full',
    '25 ok',
    '650 ok',
    '150 go',
    '250ok',
    ' 250 ok',
  ]) {
    assert.throws(() => read(`${line}\r\n`), NoReply, line)
  }
  assert.throws(() => read('250-first\r\njunk\r\n250 third\r\n'), NoReply)
  assert.throws(() => read('250-part\r\n550 refused after all\r\n'), NoReply)
})

test('a reply that does not end is given up', () => {
  assert.throws(() => read(...Array.from({ length: MAX_REPLY_OCTETS / 1000 + 1 }, () => 'x'.repeat(1000))), NoReply)
  assert.throws(() => read('250-more and more\r\n'.repeat(MAX_REPLY_OCTETS / 10)), NoReply)
})

test('how replies are cut into packets changes nothing', () => {
  const replies = ['250-grün\r\n250 ok\r\n', '354 go\r\n', '550 5.7.1 \u{1F4EE} no\r\n']
  const octets = Buffer.from(replies.join(''))
  fc.assert(
    fc.property(fc.array(fc.nat(octets.length)), (cuts) => {
      const reader = new ReplyReader()
      const at = [0, ...cuts.toSorted((a, b) => a - b), octets.length]
      const seen = at.slice(1).flatMap((end, index) => reader.next(octets.subarray(at[index], end)))
      assert.deepEqual(seen, ['250-grün\n250 ok', '354 go', '550 5.7.1 \u{1F4EE} no'])
      assert.equal(reader.inside, false)
    }),
  )
})
