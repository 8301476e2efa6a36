import assert from 'node:assert/strict'
import { PassThrough } from 'node:stream'
import { test } from 'node:test'

import { encodeEnvelope } from '@postbus/imap-wire'
import { octetsOf, parseStructureOf } from '@postbus/message'

import { Output } from '../output.ts'
import { isAtHand, textLiteral, writeAtHand, writeFetch } from './write-fetch.ts'

async function sentThrough(stream: PassThrough): Promise<Buffer> {
  stream.end()
  return Buffer.concat(await stream.toArray())
}

test('octets of a header beyond ASCII reach the client as the message had them, and as many as announced', async () => {
  const envelope = encodeEnvelope(parseStructureOf(octetsOf('Subject: gr\xc3\xbc\xdfe\r\n\r\n')).envelope ?? {})
  const stream = new PassThrough()
  const out = new Output(stream, { maxBufferedBytes: 1024, stallMs: 1000 })
  writeAtHand(out, 1, [{ text: `ENVELOPE ${envelope}` }])
  out.flush()
  const sent = await sentThrough(stream)
  assert.equal(
    sent.toString('latin1'),
    '* 1 FETCH (ENVELOPE (NIL {6}\r\ngr\xc3\xbc\xdfe NIL NIL NIL NIL NIL NIL NIL NIL))\r\n',
  )
})

test('a part in a blob is decoded on its way: exactly what was announced, as a literal8', async () => {
  const octets = Buffer.from([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
  const encoded = Buffer.from(octets.toString('base64'))
  const stream = new PassThrough()
  const out = new Output(stream, { maxBufferedBytes: 1024, stallMs: 1000 })
  const blobs = {
    async *read() {
      for (const octet of encoded) yield Uint8Array.of(octet)
    },
  }
  const blob = { kind: 'blob', lead: new Uint8Array(), blob: 'content/x', offset: 0, length: encoded.length } as const
  const content = { ...blob, decode: { encoding: 'base64', first: 2, count: 5 } } as const
  await writeFetch(out, blobs, 1, [{ text: 'BINARY[1]<2> ', content, binary: true }])
  out.flush()
  const sent = await sentThrough(stream)
  assert.equal(sent.toString('latin1'), '* 1 FETCH (BINARY[1]<2> ~{5}\r\n\x02\x03\x04\x05\x06)\r\n')
})

test('a literal at hand, short or long, is as long as announced and free of NUL unless it is a literal8', async () => {
  for (const length of [0, 5, 5000]) {
    const octets = new Uint8Array(length).fill(0x41)
    if (length > 0) octets[length - 1] = 0
    const stream = new PassThrough()
    const out = new Output(stream, { maxBufferedBytes: 1024, stallMs: 1000 })
    const content = { kind: 'inline', octets } as const
    const parts = [{ text: 'BODY[] ', content }, { text: ' BINARY[] ', content, binary: true }, { text: ' UID 9' }]
    assert.equal(isAtHand(parts), true)
    writeAtHand(out, 3, parts)
    out.flush()
    const text = 'A'.repeat(Math.max(length - 1, 0))
    const [shown, binary] = length === 0 ? ['', ''] : [`${text}\x80`, `${text}\0`]
    const sent = await sentThrough(stream)
    assert.equal(
      sent.toString('latin1'),
      `* 3 FETCH (BODY[] {${length}}\r\n${shown} BINARY[] ${length > 0 ? '~' : ''}{${length}}\r\n${binary} UID 9)\r\n`,
    )
  }
  const long = { text: 'BODY[] ', content: { kind: 'inline', octets: new Uint8Array(40_000) } } as const
  assert.deepEqual([isAtHand([long]), isAtHand([long, long])], [true, false])
})

test('a literal given as text has as many octets as announced, and a NUL among them is shown as it is elsewhere', () => {
  assert.equal(textLiteral(''), '{0}\r\n')
  assert.equal(textLiteral('a\xff\0b\0'), '{5}\r\na\xff\x80b\x80')
})
