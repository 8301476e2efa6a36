import assert from 'node:assert/strict'
import { test } from 'node:test'

import { multiline, top } from './multiline.ts'

async function* chunked(text: string, size: number): AsyncIterable<Uint8Array> {
  const bytes = Buffer.from(text)
  for (let from = 0; from < bytes.length; from += size) yield bytes.subarray(from, from + size)
}

const textOf = async (chunks: AsyncIterable<Uint8Array>): Promise<string> =>
  Buffer.concat(await Array.fromAsync(chunks)).toString()

const SIZES = [1, 2, 3, 5, 1000]

test('every line that begins with a dot gets another, wherever the chunks are cut', async () => {
  for (const size of SIZES) {
    const sent = await textOf(multiline(chunked('.a\r\n..\r\nb.\r\n.\r\n\r\n', size)))
    assert.equal(sent, '..a\r\n...\r\nb.\r\n..\r\n\r\n.\r\n')
  }
})

test('a last line without its end is ended before the dot', async () => {
  for (const size of SIZES) {
    assert.equal(await textOf(multiline(chunked('a', size))), 'a\r\n.\r\n')
    assert.equal(await textOf(multiline(chunked('a\r', size))), 'a\r\r\n.\r\n')
  }
  assert.equal(await textOf(multiline(chunked('', 1))), '.\r\n')
})

test('TOP gives the header, the empty line and so many lines of the body', async () => {
  const message = 'Subject: x\r\nTo: y\r\n\r\none\r\n\r\nthree\r\n'
  for (const size of SIZES) {
    const lines = (count: number): Promise<string> => textOf(top(chunked(message, size), count))
    assert.equal(await lines(0), 'Subject: x\r\nTo: y\r\n\r\n')
    assert.equal(await lines(1), 'Subject: x\r\nTo: y\r\n\r\none\r\n')
    assert.equal(await lines(2), 'Subject: x\r\nTo: y\r\n\r\none\r\n\r\n')
    assert.equal(await lines(99), message)
  }
})
