import assert from 'node:assert/strict'
import { test } from 'node:test'

import fc from 'fast-check'

import { DotStuffing } from './dot-stuffing.ts'

function stuffed(...chunks: string[]): string {
  const stuffing = new DotStuffing()
  const pieces = chunks.flatMap((chunk) => stuffing.next(Buffer.from(chunk)))
  return Buffer.concat([...pieces, stuffing.end()]).toString()
}

test('a dot is put before every line that begins with one', () => {
  assert.equal(stuffed('.\r\na.\r\n..b\r\n'), '..\r\na.\r\n...b\r\n.\r\n')
})

test('the last line ends before the final dot', () => {
  assert.equal(stuffed('a'), 'a\r\n.\r\n')
  assert.equal(stuffed('a\r\n'), 'a\r\n.\r\n')
  assert.equal(stuffed('a\r'), 'a\r\n.\r\n')
  assert.equal(stuffed(), '\r\n.\r\n')
})

test('bare CR and LF are no way to smuggle the end of a message', () => {
  for (const text of ['a\n.\nb', 'a\r.\rb', 'a\n.\r\nb', 'a\r\n.\nb', 'a\r.\r\nb']) {
    assert.equal(stuffed(text), 'a\r\n..\r\nb\r\n.\r\n', JSON.stringify(text))
  }
})

const message = fc
  .array(fc.constantFrom('\r', '\n', '.', '\r\n', '\r\n.', 'a', 'text'), { maxLength: 30 })
  .map((parts) => parts.join(''))

test('what goes out is lines with CRLF that give the message back, whatever its form and however it is cut', () => {
  fc.assert(
    fc.property(message, fc.array(fc.nat(60)), (text, cuts) => {
      const at = [0, ...cuts.map((cut) => Math.min(cut, text.length)).sort((one, other) => one - other), text.length]
      const chunks = at.slice(1).map((end, index) => text.slice(at[index], end))
      const wire = stuffed(...chunks)
      assert.equal(wire, stuffed(text))
      assert.doesNotMatch(wire, /\r(?!\n)|(?<!\r)\n/)
      assert.equal(wire.indexOf('\r\n.\r\n'), wire.length - 5)
      // What a receiver makes of it, without the line end that was missing.
      const received = wire.slice(0, -3).replaceAll(/(?<=^|\n)\./g, '')
      const lines = text.replaceAll(/\r\n|\r|\n/g, '\r\n')
      assert.equal(received, lines.endsWith('\r\n') ? lines : `${lines}\r\n`)
    }),
    { numRuns: 1000 },
  )
})
