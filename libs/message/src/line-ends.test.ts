import assert from 'node:assert/strict'
import { test } from 'node:test'

import { CrlfEncoder } from './line-ends.ts'

const encoded = (...chunks: string[]): string => {
  const encoder = new CrlfEncoder()
  return chunks.map((chunk) => Buffer.from(encoder.write(Buffer.from(chunk))).toString()).join('')
}

test('every bare line feed becomes CRLF, whatever stands around it', () => {
  assert.equal(encoded('a\nb\r\nc\n\nd\r\r\ne'), 'a\r\nb\r\nc\r\n\r\nd\r\r\ne')
  assert.equal(encoded('\n'), '\r\n')
  assert.equal(encoded('a\rb\r'), 'a\rb\r')
})

test('a CRLF that is cut between two chunks stays one', () => {
  assert.equal(encoded('a\r', '\nb', '\n', '', '\r', '', '\n'), 'a\r\nb\r\n\r\n')
})

test('what needs no change is not copied', () => {
  const bytes = Buffer.from('a\r\nb')
  assert.equal(new CrlfEncoder().write(bytes), bytes)
})
