import assert from 'node:assert/strict'
import { test } from 'node:test'

import { encodeBinaryParts, hasBinaryParts } from './encode-binary.ts'
import { parseStructureOf } from './parse-structure.ts'

const MESSAGE = Buffer.from(
  'MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n' +
    'Content-Transfer-Encoding: BINARY\r\nContent-ID: <1>\r\n\r\nhi\nthere\r\n--b\r\n' +
    'Content-Type: image/png\r\nContent-Transfer-Encoding: binary\r\n\r\n\x00\x01\n\x02\r\n--b\r\n\r\nbare\nline\r\n--b--\r\n',
  'latin1',
)
const ENCODED =
  'MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n' +
  'Content-Transfer-Encoding: base64\r\nContent-ID: <1>\r\n\r\naGkKdGhlcmU=\r\n--b\r\n' +
  'Content-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\r\nAAEKAg==\r\n--b\r\n\r\nbare\r\nline\r\n--b--\r\n'

async function encoded(message: Buffer, chunk = message.length): Promise<string> {
  const chunks = Array.from({ length: Math.ceil(message.length / chunk) }, (_, n) =>
    message.subarray(n * chunk, (n + 1) * chunk),
  )
  const pieces: Uint8Array[] = []
  for await (const piece of encodeBinaryParts(chunks, parseStructureOf(message))) pieces.push(piece)
  return Buffer.concat(pieces).toString('latin1')
}

test('binary parts are put into base64 and say so, all else keeps its octets with CRLF', async () => {
  assert.equal(await encoded(MESSAGE), ENCODED)
})

test('the chunks make no difference', async () => {
  for (const size of [1, 2, 3, 7, 64, 100]) assert.equal(await encoded(MESSAGE, size), ENCODED, `chunks of ${size}`)
})

test('a message that is one binary part', async () => {
  const message = Buffer.from('Content-Transfer-Encoding: binary\r\nMIME-Version: 1.0\r\n\r\n\x00\xff', 'latin1')
  assert.equal(await encoded(message), 'Content-Transfer-Encoding: base64\r\nMIME-Version: 1.0\r\n\r\nAP8=')
  assert.equal(hasBinaryParts(parseStructureOf(message)), true)
  assert.equal(hasBinaryParts(parseStructureOf(Buffer.from('Subject: x\r\n\r\ny'))), false)
})
