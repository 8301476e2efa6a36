import assert from 'node:assert/strict'
import { test } from 'node:test'

import fc from 'fast-check'

import { transferEncoder } from './encode-transfer.ts'
import { decodeTransfer } from './transfer.ts'

function encode(encoding: 'quoted-printable' | 'base64', ...chunks: Uint8Array[]): Buffer {
  const encoder = transferEncoder(encoding)
  return Buffer.concat([...chunks.map((chunk) => encoder.write(chunk)), encoder.end()])
}

/** Octets that matter more often than chance would have it. */
const octets = fc.oneof(
  fc.uint8Array({ maxLength: 300 }),
  fc
    .array(fc.constantFrom(0x0d, 0x0a, 0x20, 0x09, 0x2d, 0x3d, 0x2e, 0x41, 0xe4), { maxLength: 300 })
    .map((list) => Uint8Array.from(list)),
)

for (const encoding of ['quoted-printable', 'base64'] as const) {
  test(`${encoding}: any octets come back as they were, however they are cut`, () => {
    fc.assert(
      fc.property(octets, fc.nat(300), (bytes, cut) => {
        const encoded = encode(encoding, bytes.subarray(0, cut), bytes.subarray(cut))
        assert.deepEqual(encoded, encode(encoding, bytes))
        assert.deepEqual(decodeTransfer(encoded, encoding), Buffer.from(bytes))
      }),
    )
  })

  test(`${encoding}: lines are short, of seven bits, and none could be a boundary`, () => {
    fc.assert(
      fc.property(octets, (bytes) => {
        const text = encode(encoding, bytes).toString('latin1')
        for (const line of text.split('\r\n')) {
          assert.match(line, /^(?:[\t\x20-\x7e]*[\x21-\x7e])?$/)
          assert.ok(line.length <= 76 && !line.startsWith('-'), line)
        }
      }),
    )
  })
}

test('text stays readable, line by line', () => {
  const text = Buffer.from('Grüße,\r\n\r\n1 = 1 \r\n-- \r\nJürgen\r\n')
  assert.equal(
    encode('quoted-printable', text).toString(),
    'Gr=C3=BC=C3=9Fe,\r\n\r\n1 =3D 1=20\r\n=2D-=20\r\nJ=C3=BCrgen\r\n',
  )
})
