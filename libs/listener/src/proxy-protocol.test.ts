import assert from 'node:assert/strict'
import { test } from 'node:test'

import fc from 'fast-check'

import { parseProxyHeader } from './proxy-protocol.ts'

const SIGNATURE = Buffer.from('0d0a0d0a000d0a515549540a', 'hex')

function v2(command: number, family: number, payload: Buffer): Buffer {
  const head = Buffer.from([0x20 | command, family, payload.length >> 8, payload.length & 0xff])
  return Buffer.concat([SIGNATURE, head, payload])
}

const ports = Buffer.from([0x9c, 0x40, 0, 25])
const tcp4 = Buffer.concat([Buffer.from([192, 0, 2, 1, 198, 51, 100, 1]), ports])
const tcp6 = Buffer.concat([Buffer.from('20010db8000000000000000000000001', 'hex'), Buffer.alloc(16), ports])
const mapped = Buffer.concat([Buffer.from('00000000000000000000ffffc0000201', 'hex'), Buffer.alloc(16), ports])

test('version 1 names the client', () => {
  const line = 'PROXY TCP4 192.0.2.1 198.51.100.1 40000 25\r\n'
  const parsed = parseProxyHeader(Buffer.from(`${line}EHLO`))
  assert.deepEqual(parsed, { kind: 'header', length: line.length, source: { address: '192.0.2.1', port: 40_000 } })
  assert.deepEqual(parseProxyHeader(Buffer.from('PROXY TCP6 2001:db8::1 ::1 40000 25\r\n')), {
    kind: 'header',
    length: 37,
    source: { address: '2001:db8::1', port: 40_000 },
  })
  assert.deepEqual(parseProxyHeader(Buffer.from('PROXY UNKNOWN whatever\r\n')), {
    kind: 'header',
    length: 24,
    source: null,
  })
})

test('version 2 names the client, and leaves additional fields alone', () => {
  const extra = Buffer.concat([tcp4, Buffer.from('0400027878', 'hex')])
  assert.deepEqual(parseProxyHeader(v2(1, 0x11, extra)), {
    kind: 'header',
    length: 16 + 17,
    source: { address: '192.0.2.1', port: 40_000 },
  })
  const source = (header: Buffer): unknown => {
    const parsed = parseProxyHeader(header)
    return parsed.kind === 'header' && parsed.source
  }
  assert.deepEqual(source(v2(1, 0x21, tcp6)), { address: '2001:db8::1', port: 40_000 })
  assert.deepEqual(source(v2(1, 0x21, mapped)), { address: '192.0.2.1', port: 40_000 })
  assert.equal(source(v2(0, 0x11, tcp4)), null)
  assert.equal(source(v2(1, 0x31, Buffer.alloc(216))), null)
})

test('what is no header is refused, and half of one awaited', () => {
  const refused = [
    'EHLO client.test\r\n',
    'PROXY TCP4 192.0.2.1 198.51.100.1 40000\r\n',
    'PROXY TCP4 192.0.2.1 198.51.100.1 40000 25 1\r\n',
    'PROXY TCP4 2001:db8::1 ::1 40000 25\r\n',
    'PROXY TCP4 192.0.2.1 198.51.100.1 70000 25\r\n',
    `PROXY TCP4 ${'1'.repeat(120)}`,
  ]
  for (const text of refused) assert.equal(parseProxyHeader(Buffer.from(text)).kind, 'invalid', text)
  assert.equal(parseProxyHeader(v2(1, 0x11, tcp4.subarray(0, 8))).kind, 'invalid')
  assert.equal(parseProxyHeader(v2(2, 0x11, tcp4)).kind, 'invalid')
  for (const whole of [Buffer.from('PROXY TCP4 192.0.2.1 198.51.100.1 40000 25\r\n'), v2(1, 0x21, tcp6)]) {
    for (let length = 0; length < whole.length; length++) {
      assert.equal(parseProxyHeader(whole.subarray(0, length)).kind, 'incomplete', `${length} octets`)
    }
  }
})

test('no bytes at all make the parser throw', () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 80 }),
      fc.constantFrom(Buffer.alloc(0), SIGNATURE, Buffer.from('PROXY ')),
      (bytes, prefix) => {
        const { kind } = parseProxyHeader(Buffer.concat([prefix, bytes]))
        assert.ok(['header', 'invalid', 'incomplete'].includes(kind))
      },
    ),
  )
})
