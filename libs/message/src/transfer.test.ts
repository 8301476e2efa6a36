import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import libbase64 from 'libbase64'
import libqp from 'libqp'
import { octetsOf } from './octets.ts'
import { decodeTransfer, transferDecoder } from './transfer.ts'

const decode = (text: string, encoding: string): string => decodeTransfer(octetsOf(text), encoding).toString('latin1')

const inChunks = (encoded: Buffer, encoding: string, size: number): Buffer => {
  const decoder = transferDecoder(encoding)
  const out: Buffer[] = []
  for (let at = 0; at < encoded.length; at += size) out.push(decoder.write(encoded.subarray(at, at + size)))
  return Buffer.concat([...out, decoder.end()])
}

test('what was encoded comes back, however it is cut', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), fc.integer({ min: 1, max: 20 }), (octets, size) => {
      const data = Buffer.from(octets)
      const base64 = octetsOf(libbase64.wrap(libbase64.encode(data), 76))
      assert.deepEqual(inChunks(base64, 'BASE64', size), data)
      const quoted = octetsOf(libqp.wrap(libqp.encode(data), 76))
      // Line ends are not encoded, so a lone CR or LF in binary data is not what quoted-printable is for.
      if (!/\r(?!\n)|(?<!\r)\n/.test(data.toString('latin1')))
        assert.deepEqual(inChunks(quoted, 'quoted-printable', size), data)
    }),
  )
})

test('broken encodings decode alike, however they are cut', () => {
  const piece = fc.constantFrom(
    '=',
    '=4',
    '=41',
    '=zz',
    ' ',
    '\t',
    '\r\n',
    '\n',
    '\r',
    'a',
    'QUJD',
    '==',
    '\xff',
    '=\r\n',
    '= \r\n',
  )
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 30 }), fc.integer({ min: 1, max: 5 }), (pieces, size) => {
      const data = octetsOf(pieces.join(''))
      for (const encoding of ['base64', 'quoted-printable', '8bit']) {
        assert.deepEqual(inChunks(data, encoding, size), decodeTransfer(data, encoding))
      }
    }),
    { numRuns: 2000 },
  )
})

test('base64: other characters are skipped and padding ends only what came before it', () => {
  assert.equal(decode('QU*\r\nJD', 'base64'), 'ABC')
  assert.equal(decode('QQ==QUJD', 'base64'), 'AABC')
  assert.equal(decode('QUJDQQ', 'base64'), 'ABCA')
  assert.equal(decode('====', 'base64'), '')
})

const isDamaged = (text: string, encoding: string, size = 1024): boolean => {
  const decoder = transferDecoder(encoding)
  const data = octetsOf(text)
  for (let at = 0; at < data.length; at += size) decoder.write(data.subarray(at, at + size))
  decoder.end()
  return decoder.damaged
}

test('what no encoder makes is known as damaged, however it is cut', () => {
  const sound = {
    base64: ['', 'QUJD', 'QUI=', 'QQ==\r\n', 'QUJD\r\nQQ=\t=', ' QU\r\nJD '],
    'quoted-printable': ['', 'a=3D=3d', 'soft=\r\nbreak = \t\n', 'a=20\r\n', '\xff'],
  }
  const damaged = {
    base64: ['QU*JD', 'QQ', 'QQ=', 'QQ===', 'Q', 'Q===', 'QUJD=', '=', 'QQ==QUJD', 'QQ=QUJD', 'QQ==\r\n-- \r\nlist'],
    'quoted-printable': ['a=ZZ', 'foo = bar', 'a=3', 'end=', 'end= ', '=\r'],
  }
  for (const size of [1, 2, 3, 1024]) {
    for (const [encoding, texts] of Object.entries(sound))
      for (const text of texts) assert.equal(isDamaged(text, encoding, size), false, JSON.stringify(text))
    for (const [encoding, texts] of Object.entries(damaged))
      for (const text of texts) assert.equal(isDamaged(text, encoding, size), true, JSON.stringify(text))
  }
})

test('nothing an encoder makes is damaged', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), fc.integer({ min: 1, max: 20 }), (octets, size) => {
      const data = Buffer.from(octets)
      assert.equal(isDamaged(libbase64.wrap(libbase64.encode(data), 76), 'base64', size), false)
      assert.equal(isDamaged(`${libqp.wrap(libqp.encode(data), 76)}\r\n`, 'quoted-printable', size), false)
    }),
  )
})

test('quoted-printable as in RFC 2045 §6.7', () => {
  assert.equal(
    decode("Now's the time =\r\nfor all folk to come=\r\n to the aid of their country.", 'quoted-printable'),
    "Now's the time for all folk to come to the aid of their country.",
  )
  assert.equal(decode('trailing blanks \t\r\nkept=20\r\n', 'quoted-printable'), 'trailing blanks\r\nkept \r\n')
  assert.equal(decode('kept=20 \t', 'quoted-printable'), 'kept ')
  assert.equal(decode('=3d=3D =XY =', 'quoted-printable'), '== =XY ')
  assert.equal(decode('soft=  \r\nbreak=\nlf', 'quoted-printable'), 'softbreaklf')
})

test('endless lines are decoded in bounded memory and linear time', () => {
  const started = performance.now()
  for (const unit of ['=', ' ', '=4', 'x', '= ', '=\r', '\n', '=41']) {
    const decoder = transferDecoder('quoted-printable')
    const chunk = octetsOf(unit.repeat(65536 / unit.length))
    let kept = 0
    for (let turn = 0; turn < 32; turn++) kept += decoder.write(chunk).length
    assert.ok(decoder.end().length < 300_000, unit)
    assert.ok(kept <= 32 * chunk.length)
  }
  assert.ok(performance.now() - started < 10_000)
})
