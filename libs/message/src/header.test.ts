import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { headerEnd, parseHeader } from './header.ts'

const bytes = (text: string): Buffer => Buffer.from(text, 'latin1')

test('a field is unfolded and keeps its octet range', () => {
  const header = bytes('From: a@example.org\r\nSubject: one\r\n two\r\n\tthree \r\n\r\nBody: no\r\n')
  assert.deepEqual(parseHeader(header), [
    { name: 'From', value: 'a@example.org', start: 0, end: 21 },
    { name: 'Subject', value: 'one two\tthree', start: 21, end: 50 },
  ])
  assert.equal(headerEnd(header), 52)
})

test('bare line feeds, a missing empty line and a missing last line end are read', () => {
  assert.deepEqual(
    parseHeader(bytes('A: 1\nB : 2\n c')).map((field) => [field.name, field.value]),
    [
      ['A', '1'],
      ['B', '2 c'],
    ],
  )
  assert.equal(headerEnd(bytes('A: 1\nB: 2')), -1)
  assert.equal(headerEnd(bytes('A: 1\n\nx')), 6)
  assert.equal(headerEnd(bytes('\r\nx')), 2)
  assert.equal(headerEnd(bytes('xx\r\n\r\ny'), 2), 4)
})

test('a line without a colon is a field without a name and does not end the header', () => {
  const fields = parseHeader(bytes('A: 1\r\nnonsense\r\nB: 2\r\n\r\n'))
  assert.deepEqual(
    fields.map((field) => [field.name, field.value]),
    [
      ['A', '1'],
      ['', 'nonsense'],
      ['B', '2'],
    ],
  )
})

test('a value is UTF-8 where it is valid UTF-8, otherwise one character per octet', () => {
  const utf8 = Buffer.from('Subject: Grüße\r\nX: \xff\r\n\r\n', 'latin1')
  assert.equal(parseHeader(Buffer.from('Subject: Grüße\r\n\r\n'))[0]?.value, 'Grüße')
  assert.equal(parseHeader(utf8)[1]?.value, '\xff')
})

test('fields follow each other without a gap, whatever the octets', () => {
  const piece = fc.constantFrom('\r\n', '\n', '\r', ' ', '\t', ':', 'a', 'Name: value', '\xff', '\0')
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 40 }), (pieces) => {
      const message = bytes(pieces.join(''))
      const fields = parseHeader(message)
      let at = 0
      for (const field of fields) {
        assert.equal(field.start, at)
        assert.ok(field.end > at)
        at = field.end
      }
      const end = headerEnd(message)
      if (end < 0) assert.equal(at, message.length)
      else assert.match(message.subarray(at, end).toString('latin1'), /^\r?\n$/)
    }),
  )
})

test('a header line of 8 MiB and a header of a million lines take time in proportion to their size', () => {
  const started = performance.now()
  assert.equal(parseHeader(Buffer.alloc(8 << 20, 'x')).length, 1)
  assert.equal(parseHeader(bytes(`A: ${' \r\n'.repeat(1_000_000)}`)).length, 1)
  assert.equal(parseHeader(bytes('a\n'.repeat(1_000_000))).length, 1_000_000)
  assert.ok(performance.now() - started < 10_000)
})
