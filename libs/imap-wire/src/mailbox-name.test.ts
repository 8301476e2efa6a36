import assert from 'node:assert/strict'
import { test } from 'node:test'

import fc from 'fast-check'

import { encodeAstring, encodeMailbox, encodeString } from './encode.ts'
import { ListPattern } from './list-pattern.ts'
import { decodeUtf7, encodeUtf7, parseMailboxName } from './mailbox-name.ts'
import { ImapNameError } from './syntax-error.ts'

test('modified UTF-7 as RFC 3501 §5.1.3 shows it', () => {
  assert.equal(decodeUtf7('~peter/mail/&U,BTFw-/&ZeVnLIqe-'), '~peter/mail/\u53f0\u5317/\u65e5\u672c\u8a9e')
  assert.equal(encodeUtf7('Entw\u00fcrfe & mehr'), 'Entw&APw-rfe &- mehr')
  assert.equal(encodeUtf7('\u{1f4ec}'), '&2D3c7A-')
})

test('every name survives modified UTF-7, and only our own spelling is read', () => {
  fc.assert(fc.property(fc.string({ unit: 'grapheme' }), (name) => assert.equal(decodeUtf7(encodeUtf7(name)), name)))
  // Unterminated; plain ASCII encoded; superfluous shift; odd octets; half a surrogate pair.
  for (const bad of ['a&b', '&U,BTFw', '&AGE-', '&U,BTFw-&ZeVnLIqe-', '&AA-', '&2D0-'])
    assert.throws(() => decodeUtf7(bad), ImapNameError, bad)
})

test('INBOX is INBOX in any case, also above others; UTF-8 is understood where UTF-7 belongs', () => {
  assert.equal(parseMailboxName('inBox', {}), 'INBOX')
  assert.equal(parseMailboxName('inbox/Sub', {}), 'INBOX/Sub')
  assert.equal(parseMailboxName('Inboxes', {}), 'Inboxes')
  assert.equal(parseMailboxName('Entw\u00fcrfe', {}), 'Entw\u00fcrfe')
  assert.equal(parseMailboxName('a&b', { utf8: true }), 'a&b')
  for (const bad of ['a\u0007b', 'a\u007fb', 'a\u0085b', 'a\u2028b'])
    assert.throws(() => parseMailboxName(bad, { utf8: true }), ImapNameError)
})

const matching = (pattern: string, names: string[], reference = ''): string[] =>
  names.filter((name) => new ListPattern(reference, pattern).matches(name))

test('* crosses levels, % does not', () => {
  const names = ['INBOX', 'Archive', 'Archive/2024', 'Archive/2024/May', 'Entw\u00fcrfe']
  assert.deepEqual(matching('*', names), names)
  assert.deepEqual(matching('%', names), ['INBOX', 'Archive', 'Entw\u00fcrfe'])
  assert.deepEqual(matching('Archive/%', names), ['Archive/2024'])
  assert.deepEqual(matching('%/2024', names, ''), ['Archive/2024'])
  assert.deepEqual(matching('%', names, 'Archive/'), ['Archive/2024'])
  assert.deepEqual(matching('*May', names), ['Archive/2024/May'])
  assert.deepEqual(matching('Entw&APw-rfe', names), ['Entw\u00fcrfe'])
  assert.deepEqual(matching('inb%', names), ['INBOX'])
  assert.deepEqual(matching('i*', [...names, 'INBOX/a', 'Inboxes']), ['INBOX', 'INBOX/a'])
  assert.deepEqual(matching('%x/A', ['INBOX/A', 'INBOX/a', 'Box/a']), ['INBOX/A'])
  assert.deepEqual(matching('archive', names), [])
  assert.deepEqual(matching('A&*', names), [])
})

test('a pattern matches what the regular expression of the same meaning matches', () => {
  const alphabet = fc.constantFrom('a', 'b', '/')
  const pattern = fc.string({ unit: fc.oneof(alphabet, fc.constantFrom('*', '%')), maxLength: 8 })
  fc.assert(
    fc.property(pattern, fc.string({ unit: alphabet, maxLength: 8 }), (pattern, name) => {
      const regex = new RegExp(`^${pattern.replaceAll('*', '.*').replaceAll('%', '[^/]*')}$`)
      assert.equal(new ListPattern('', pattern).matches(name), regex.test(name))
    }),
    { numRuns: 2000 },
  )
})

test('a hostile pattern costs no more than a harmless one', () => {
  assert.equal(new ListPattern('', '*a%'.repeat(9)).matches(`${'a'.repeat(900)}/b`), false)
  // Nothing is looked for that would cost too much — RFC 9051 §6.3.9.
  assert.equal(new ListPattern('', '*a'.repeat(30)).matches('a'.repeat(30)), false)
  assert.equal(new ListPattern('', 'a'.repeat(1001)).matches('a'.repeat(1001)), false)
})

test('strings go out as atoms, quoted, or literals that count octets', () => {
  assert.equal(encodeAstring('INBOX'), 'INBOX')
  assert.equal(encodeAstring('nil'), '"nil"')
  assert.equal(encodeAstring(''), '""')
  assert.equal(encodeString('say "hi" \\'), '"say \\"hi\\" \\\\"')
  assert.equal(encodeString('caf\u00e9'), '{5}\r\ncaf\u00e9')
  assert.equal(encodeString('a\r\nb'), '{4}\r\na\r\nb')
  assert.equal(encodeMailbox('Entw\u00fcrfe'), 'Entw&APw-rfe')
  assert.equal(encodeMailbox('Entw\u00fcrfe', { utf8: true }), '"Entw\u00fcrfe"')
  assert.equal(encodeMailbox('Sent Items'), '"Sent Items"')
})
