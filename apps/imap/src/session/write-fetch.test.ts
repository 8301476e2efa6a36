import assert from 'node:assert/strict'
import { PassThrough } from 'node:stream'
import { test } from 'node:test'

import { encodeEnvelope } from '@postbus/imap-wire'
import { octetsOf, parseStructureOf } from '@postbus/message'

import { Output } from '../output.ts'
import { writeFetch } from './write-fetch.ts'

test('octets of a header beyond ASCII reach the client as the message had them, and as many as announced', async () => {
  const envelope = encodeEnvelope(parseStructureOf(octetsOf('Subject: gr\xc3\xbc\xdfe\r\n\r\n')).envelope ?? {})
  const stream = new PassThrough()
  const out = new Output(stream, { maxBufferedBytes: 1024, stallMs: 1000 })
  const noBlobs = { read: () => assert.fail('no blob is read') }
  await writeFetch(out, noBlobs, 1, [{ text: `ENVELOPE ${envelope}` }])
  out.flush()
  const sent: Buffer = stream.read()
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
  const sent: Buffer = stream.read()
  assert.equal(sent.toString('latin1'), '* 1 FETCH (BINARY[1]<2> ~{5}\r\n\x02\x03\x04\x05\x06)\r\n')
})
